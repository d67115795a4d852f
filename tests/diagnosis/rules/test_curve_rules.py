"""Rules that read curves: on recorded histories of failing and healthy twins, and on curves that
are known in closed form."""

import math

import pytest

from famulus.diagnosis.history import History
from famulus.diagnosis.rules import (
    codebook_collapsed,
    converged,
    features_not_centred,
    loss_spike,
    memorises,
    memorises_the_pool,
    plateau,
    rate_cannot_reach,
    rate_too_low,
    targets_redrawn,
    train_eval_gap,
)
from tests.diagnosis.recorded import recorded

TWINS = [
    (codebook_collapsed, "codes-relu-on-z", "1 of 256 codes"),
    (features_not_centred, "pretext-dot-product", "cosine of 0.741"),
    (memorises, "tiles-memorises", "each of 40 samples was seen 250 times"),
    (memorises_the_pool, "scroll-pool-reloaded", "at 4 of 4 reloads"),
    (rate_too_low, "qsm-rate-too-low", "adds up to 0.08 over 800 steps"),
    (targets_redrawn, "pretext-targets-redrawn", "each seen 150 times"),
    (train_eval_gap, "pretext-eval-gap", "0.489 above"),
]
HEALTHY = {"qsm-rate-too-low": "qsm-rate-diverges-healthy"}
RULES = (codebook_collapsed, features_not_centred, loss_spike, memorises, memorises_the_pool,
         rate_cannot_reach, rate_too_low, targets_redrawn, train_eval_gap)  # fmt: skip


@pytest.mark.parametrize(("rule", "name", "figures"), TWINS, ids=[t[1] for t in TWINS])
def test_the_cause_is_named_with_its_figures(rule, name, figures):
    found = rule.rule(recorded(name))
    assert found.cause == rule.CAUSE
    assert found.severity in ("warning", "error")
    assert figures in found.evidence
    assert found.remedy


@pytest.mark.parametrize("name", [HEALTHY.get(t[1], f"{t[1]}-healthy") for t in TWINS])
def test_the_healthy_twin_is_not_accused(name):
    found = [rule.rule(recorded(name)) for rule in RULES]
    assert [f.cause for f in found if f and f.severity != "info"] == []


def curve(loss, rate=lambda step: 1e-3, steps=400, every=5, val=None, floor=None, **config):
    """Training logs of `loss(way)` at Adam's rate; validations of `val(share)` beside it."""
    train, way = [], 0.0
    for step in range(1, steps + 1):
        way += rate(step)
        if step % every == 0:
            train.append({"step": step, "inputs": 8 * step, "lr": rate(step),
                          "values": {"total": loss(way)}})  # fmt: skip
    seen = [{"step": n * steps // 10, "inputs": n * steps * 8 // 10,
             "values": {"loss": val(n / 10)}} for n in range(1, 11)] if val else []  # fmt: skip
    floors = [{"score": "loss", "means": "best constant", "value": floor}] if floor else []
    config = {"training": {"batch": 8, "optimizer": {"lr": 1e-3}}} | config
    return History(config, train, seen, floors, facts={"budget": 8 * steps})


def test_a_schedule_that_ends_early_is_told_from_a_low_rate():
    early = lambda step: 1e-3 if step < 80 else 1e-5  # noqa: E731
    power = lambda way: way**-0.4  # noqa: E731
    found = rate_cannot_reach.rule(curve(power, early))
    assert "fell by 24% with each doubling" in found.evidence  # 1 - 2**-.4
    assert rate_cannot_reach.rule(curve(power)) is None  # the rate was kept up
    assert rate_cannot_reach.rule(curve(lambda way: 1 + math.exp(-way / 0.005), early)) is None
    assert rate_too_low.rule(curve(power)) is None  # it bends
    straight = lambda way: 2 - way  # noqa: E731
    assert rate_too_low.rule(curve(straight)).severity == "warning"
    half = curve(straight)
    half.train[20:] = []  # a run under way is not judged by its end
    assert rate_too_low.rule(half) is None


def test_a_way_that_a_control_found_too_short_is_not_called_a_rate_too_low():
    """150 steps of Adam at 1e-6: the control names it from the rate and the budget alone."""
    probe = {"step": 0, "layers": [{"name": "0", "weight": 1.0, "update": 1e-5, "numbers": 9}]}
    train = [
        {"step": n, "inputs": 64 * n, "lr": 1e-6, "values": {"total": 0.14}}
        for n in range(10, 151, 10)
    ]
    history = History({}, train=train, probes=[probe] * 6)
    assert "can have changed it by 0.0015" in rate_too_low.rule(history).evidence
    history.controls.append({"name": "learning rate", "cause": "rate-cannot-reach"})
    assert rate_too_low.rule(history) is None


def test_flat_is_converged_or_a_plateau_by_what_a_constant_scores():
    still = curve(lambda way: 1.0, val=lambda share: 0.3 + 0.3 * math.exp(-20 * share), floor=1.0)
    assert converged.rule(still).severity == "info"
    assert plateau.rule(still) is None
    near = curve(lambda way: 1.0, val=lambda share: 0.9, floor=1.0)
    assert plateau.rule(near).severity == "info"
    assert converged.rule(near) is None
    falling = curve(lambda way: 1.0, val=lambda share: 1 - share / 2, floor=1.0)
    assert converged.rule(falling) is None
    assert plateau.rule(falling) is None


def test_the_end_of_a_schedule_is_no_sign_that_a_loss_has_arrived():
    """Every loss stands still there: the last third of the way counts, too."""
    cosine = lambda step: 1e-3 * (1 + math.cos(math.pi * step / 400)) / 2  # noqa: E731
    falls = lambda share: 0.3 + 0.1 * (1 - share) ** 4  # noqa: E731
    rests = lambda share: 0.3 + 0.3 * math.exp(-20 * share)  # noqa: E731
    level = lambda way: 1.0  # noqa: E731
    assert converged.rule(curve(level, cosine, val=falls, floor=1.0)) is None
    assert converged.rule(curve(level, cosine, val=rests, floor=1.0)) is not None
    assert converged.rule(curve(level, val=falls, floor=1.0)) is not None  # at a full rate


@pytest.mark.parametrize(("height", "severity"), [(1.9, None), (2.1, "info"), (30.0, "info")])
def test_a_spike_is_twice_the_level_before(height, severity):
    found = curve(lambda way: 1.0)
    found.train[25]["values"]["total"] = height
    told = loss_spike.rule(found)
    assert (told and told.severity) == severity


def test_a_spike_that_stays_is_a_warning():
    found = curve(lambda way: 1.0)
    for event in found.train[25:]:
        event["values"]["total"] = 5.0
    assert loss_spike.rule(found).severity == "warning"


def test_what_is_meant_to_be_learned_by_heart_is_no_warning():
    found = curve(lambda way: 0.01, val=lambda share: 1.2, floor=1.0)
    assert memorises.rule(found).severity == "warning"
    asked = History(found.config | {"data": {"frozen": True}}, found.train, found.val, found.floors)
    assert memorises.rule(asked).severity == "info"
