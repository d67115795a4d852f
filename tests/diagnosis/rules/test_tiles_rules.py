"""Causes of the tiles journal on recorded histories (experiments/cases/tiles-*), each beside its
healthy twin."""

import re

import pytest
import torch

from famulus.diagnosis.history import History
from famulus.diagnosis.rules import (
    loss_rises_with_growth,
    loss_spike,
    posterior_collapse,
    posterior_unused,
    predicts_the_mean,
)
from famulus.diagnosis.verdict import diagnose

FLOORS = [
    {"score": "loss", "means": "best constant", "value": 0.1832},
    {"score": "l1", "means": "best constant", "value": 0.1832},
]
RECORDED = {  # inputs -> scores of each validation kept
    "collapse": {
        2560: {"kl": 0.00115, "active_units": 0, "snr": 0.00282, "sigma": 0.99876, "l1": 0.198},
        12800: {"kl": 6e-05, "active_units": 0, "snr": 0.00138, "sigma": 0.99994, "l1": 0.1848},
        25600: {"kl": 4e-05, "active_units": 0, "snr": 0.00121, "sigma": 0.99997, "l1": 0.1842},
    },
    "healthy": {
        2560: {"kl": 1.7705, "active_units": 13, "snr": 0.357, "sigma": 0.86985, "l1": 0.1847},
        12800: {"kl": 5.84434, "active_units": 16, "snr": 0.812, "sigma": 0.71761, "l1": 0.1276},
        25600: {"kl": 7.52354, "active_units": 16, "snr": 0.907, "sigma": 0.69039, "l1": 0.1146},
    },
    "unused": {
        2560: {"kl": 0.02513, "active_units": 0, "snr": 1.0995, "sigma": 0.01134, "l1": 0.1932},
        12800: {"kl": 0.00474, "active_units": 0, "snr": 2.588, "sigma": 0.00606, "l1": 0.1664},
        25600: {"kl": 0.00456, "active_units": 0, "snr": 3.309, "sigma": 0.0049, "l1": 0.1502},
    },
}
LOSS = {
    "collapse": {"reconstruction": "l1", "kl": "textbook", "kl_weight": 1.0},
    "healthy": {"reconstruction": "laplace", "kl": "textbook", "kl_weight": 1.0},
    "unused": {"reconstruction": "l1", "kl": "legacy", "kl_weight": 1.0},
}


def history(name, upto=25600, **loss):
    val = [
        {"step": n // 64, "inputs": n, "values": scores | {"loss": scores["l1"]}}
        for n, scores in RECORDED[name].items()
        if n <= upto
    ]
    config = {"loss": LOSS[name] | loss, "model": {"code": 16}}
    config["training"] = {"inputs": 25600, "optimizer": {"lr": 0.003}}
    floors = FLOORS if name != "healthy" else FLOORS[1:]
    return History(config, val=val, floors=floors, facts={"budget": 25600, "numbers": 64})


def test_a_collapsed_posterior_is_named_with_the_scale_that_its_weight_states():
    found = posterior_collapse.rule(history("collapse"))
    assert found.severity == "error"
    assert "0 of 16 units" in found.evidence
    assert "best constant predictor scores 0.1832" in found.evidence
    assert "loss.reconstruction: laplace" in found.remedy
    assert "assumes noise of b = 64 grey ranges" in found.remedy
    assert "loss.kl_weight: 0.0008" in found.remedy


def test_the_noise_that_a_weight_beside_a_mean_of_squares_assumes():
    """mean(d^2) + w KL is w times the negative ELBO of that sigma: equal slopes in d."""
    weight, numbers = 0.5, 64
    found = posterior_collapse.rule(history("collapse", reconstruction="l2", kl_weight=weight))
    sigma = float(re.search(r"sigma = (\S+) grey", found.remedy)[1])
    d = torch.linspace(-0.3, 0.3, numbers, dtype=torch.float64, requires_grad=True)
    density = torch.distributions.Normal(torch.zeros_like(d), sigma)
    (mean,) = torch.autograd.grad(d.square().mean(), d)
    (nats,) = torch.autograd.grad(-density.log_prob(d).sum(), d)
    torch.testing.assert_close(mean, weight * nats, rtol=1e-3, atol=0)
    proposed = next(c.value for c in found.changes if c.path == "loss.kl_weight")
    assert (proposed * numbers / 2) ** 0.5 == pytest.approx(posterior_collapse.AGREED, rel=0.1)


def test_a_collapsed_laplace_is_not_told_to_become_one():
    free = {"kl_warmup_inputs": 0, "free_bits": 0.0}
    found = posterior_collapse.rule(history("collapse", reconstruction="laplace", **free))
    assert "laplace" not in found.remedy
    assert "loss.kl_warmup_inputs: 6400" in found.remedy


def test_a_collapse_under_the_legacy_formula_is_told_by_its_own_measure():
    """Of 16 units at mu = 0, sigma = 1 it gives 16 (e - 2) / 2 = 5.7, which are no nats."""
    found = posterior_collapse.rule(history("collapse", kl="legacy"))
    assert "by the legacy formula, which gives 5.7 where nothing is coded" in found.evidence
    assert "nats" not in found.evidence
    assert "laplace" not in found.remedy
    assert "loss.kl: textbook" in found.remedy
    assert "nats" in posterior_collapse.rule(history("collapse")).evidence


def test_collapse_explains_that_the_mean_is_predicted():
    assert predicts_the_mean.rule(history("collapse")) is not None
    found = [(f.cause, f.under) for f in diagnose(history("collapse"))]
    assert found == [("posterior-collapse", ""), ("predicts-the-mean", "posterior-collapse")]


def test_noise_that_is_off_is_named_and_the_legacy_formula_with_it():
    found = posterior_unused.rule(history("unused"))
    assert found.severity == "warning"
    assert "legacy takes sigma for a log-variance" in found.evidence
    assert "kl: textbook" in found.remedy
    other = posterior_unused.rule(history("unused", kl="textbook", kl_weight=1e-6))
    assert "legacy" not in other.evidence + other.remedy


@pytest.mark.parametrize("rule", [posterior_collapse.rule, posterior_unused.rule])
def test_the_healthy_twin_is_left_alone(rule):
    assert rule(history("healthy")) is None


def test_each_fault_has_its_own_name():
    assert posterior_unused.rule(history("collapse")) is None
    assert posterior_collapse.rule(history("unused")) is None


@pytest.mark.parametrize("rule", [posterior_collapse.rule, posterior_unused.rule])
def test_a_beginning_is_no_fault_and_neither_is_an_autoencoder(rule):
    for name in ("collapse", "unused"):
        assert rule(history(name, upto=2560)) is None  # one validation
        assert rule(history(name, kl="none")) is None
        assert rule(history(name, kl_weight=0.0)) is None
        assert rule(history(name, kl_warmup_inputs=30_000)) is None
        early = history(name, upto=12800)
        assert rule(History(early.config, val=early.val, facts={"budget": 100_000})) is None


GROWN = [
    (5120, 0.0886),
    (5760, 0.0873),
    (6400, 0.085),
    (7040, 0.2769),
    (7680, 0.1792),
    (11520, 0.0637),
    (12160, 0.0567),
    (12800, 0.0508),
    (13440, 0.2101),
    (14080, 0.1596),
    (17920, 0.0666),
    (18560, 0.064),
    (19200, 0.06),
    (19840, 0.2219),
    (20480, 0.18),
]
MARKS = [
    {"what": "growth", "step": n // 64, "inputs": n, "text": text}
    for n, text in [
        (6400, "layer 2 of 4: code of 256"),
        (12800, "layer 3 of 4: code of 64"),
        (19200, "layer 4 of 4: code of 8"),
    ]
]


def grown(points, marks=MARKS):
    train = [{"step": n // 64, "inputs": n, "values": {"total": v}} for n, v in points]
    return History({}, train=train, marks=marks)


def test_rises_at_growth_are_told_from_a_fault():
    found = loss_rises_with_growth.rule(grown(GROWN))
    assert (found.severity, found.step) == ("info", 200)
    assert "at 3 of 3 growth events, most by 268%" in found.evidence
    assert "layer 3 of 4: code of 64" in found.evidence
    assert "loss-spike" in found.consequences


def test_a_rise_where_a_layer_joins_is_no_spike():
    level = [(640 * n, 0.05 + 0.001 * (n % 3)) for n in range(1, 31)]
    jumps = [(n, v + 0.2 * (n in (7040, 13440, 19840))) for n, v in level]
    assert loss_spike.rule(grown(jumps)) is None
    assert loss_spike.rule(grown(jumps, marks=[])) is not None
    later = [(n, v + 0.2 * (n == 12160)) for n, v in level]
    assert loss_spike.rule(grown(later, marks=MARKS[:1])) is None  # within the logs compared with
    assert loss_spike.rule(grown(later, marks=MARKS[2:])) is not None


def test_no_rise_or_no_growth_is_nothing():
    falling = [(n, 0.3 - 1e-5 * n) for n, _ in GROWN]
    assert loss_rises_with_growth.rule(grown(falling)) is None
    assert loss_rises_with_growth.rule(grown(GROWN, marks=[])) is None
    other = [m | {"what": "lr"} for m in MARKS]
    assert loss_rises_with_growth.rule(grown(GROWN, marks=other)) is None
