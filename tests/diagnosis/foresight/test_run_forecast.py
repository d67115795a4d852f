"""Settings of a run into the terms of a forecast; what can't be known is refused."""

import math

import numpy as np
import pytest

from famulus.diagnosis.foresight.backtest import Curve
from famulus.diagnosis.foresight.forecast import Forecast, Refusal
from famulus.diagnosis.foresight.run_forecast import (
    budget_of,
    constant_of,
    finished_curve,
    foresee,
    rate_of,
    shape_of,
)

N = 1_000_000


def config(schedule=None, **training):
    base = {"inputs": N, "batch": 64, "accumulate": 1, "optimizer": {"lr": 0.001}}
    return {"training": base | {"schedule": {"name": "cosine"} | (schedule or {})} | training}


def curve(upto, points=40):
    at = np.linspace(0, upto, points + 1)[1:]
    return [(n, 0.02 + 0.5 * (1 + n / N / 0.002) ** -0.5) for n in at]


def test_a_cosine_run_is_forecast_and_a_longer_budget_ends_lower():
    seen = curve(0.08 * N)
    near = foresee(config(), {}, seen)
    far = foresee(config(inputs=4 * N), {}, seen)
    assert isinstance(near, Forecast)
    assert far.value < near.value < seen[-1][1]


def test_the_budget_in_epochs_waits_for_the_number_of_samples():
    epochs = config(inputs=None, epochs=2.5)
    assert budget_of(epochs, {"train_samples": 400}) == 1000
    assert budget_of(epochs, {}) == 0
    assert foresee(epochs, {}, curve(5)) == Refusal("the budget is not known yet")


@pytest.mark.parametrize(
    ("every", "inputs"),
    [({"inputs": 3000}, 3000), ({"steps": 10}, 640), ({"epochs": 2}, 800)],
)
def test_steps_of_the_rate_in_any_unit(every, inputs):
    step = config({"name": "step", "factor": 0.5, "every": every})
    rate = rate_of(step, {"train_samples": 400})
    assert [rate(inputs - 1), rate(inputs), rate(2 * inputs)] == [0.001, 0.0005, 0.00025]


def test_a_loop_of_a_persons_own_has_no_schedule_to_go_by():
    for known in ({}, {"training": {"inputs": N}}, {"training": {"schedule": {"name": "cosine"}}}):
        assert foresee(known, {"budget": N}, curve(0.08 * N)) == Refusal("no schedule is recorded")
        assert finished_curve(known, {}, curve(N)) == Refusal("no schedule is recorded")


def test_what_nobody_can_know_is_refused():
    plateau = foresee(config({"name": "plateau"}), {}, curve(0.08 * N))
    assert "scores that are still to come" in plateau.reason
    grows = {"changes": {"what": "growth", "until_inputs": 200_000}}
    assert "growth lies ahead" in foresee(config(), grows, curve(0.08 * N)).reason
    assert isinstance(foresee(config(), {"changes": grows["changes"] | {"until_inputs": 10}},
                              curve(0.08 * N)), Forecast)  # fmt: skip


def test_a_training_loss_that_ends_at_its_noise_gives_no_shape():
    seen = curve(0.08 * N)
    stuck = [(n, v + 0.04) for n, v in curve(0.08 * N, 400)]  # noise of variance .04 on the target
    alone = foresee(config(), {}, seen)
    assert foresee(config(), {"noisy_targets": True}, seen, stuck) == alone
    assert foresee(config(), {}, seen, stuck).value > 1.05 * alone.value  # taken for a plateau
    facts = {"noisy_targets": True}
    assert finished_curve(config(), facts, curve(N), stuck).train == ()


def test_a_finished_curve_is_judged_if_its_parts_compare():
    assert isinstance(finished_curve(config(), {}, curve(N)), Curve)
    assert finished_curve(config(), {}, []) == Refusal("no validation")
    late = [p for p in curve(N) if p[0] > 0.1 * N]
    assert "not validated in the first 10%" in finished_curve(config(), {}, late).reason
    grows = {"changes": {"what": "growth", "until_inputs": 200_000}}
    assert "don't compare" in finished_curve(config(), grows, curve(N)).reason


def test_a_loss_that_is_a_logarithm_is_forecast_as_one():
    """Same errors, told as they are and as their logarithm, which is negative."""
    plain, nats = curve(0.08 * N), [(n, math.log(v)) for n, v in curve(0.08 * N)]
    told = foresee(config(), {"loss_scale": "log"}, nats)
    for name in ("value", "low", "high"):
        assert getattr(told, name) == pytest.approx(
            math.log(getattr(foresee(config(), {}, plain), name))
        )
    assert "not positive" in foresee(config(), {}, nats).reason


def test_a_kl_that_is_switched_off_is_no_progress():
    """Recorded: a legacy VAE on mnist at 20 pixels, ended at .0458 after 100,000 inputs."""
    inputs = [320, 1280, 2240, 3520, 5120, 6720, 9920]
    recon = [0.3494, 0.2419, 0.2194, 0.1674, 0.1502, 0.1378, 0.1241]
    kl = [34.12, 0.761, 0.2004, 0.0233, 0.00598, 0.00457, 0.00615]
    val = [(2560, 0.2635), (5056, 0.153), (7552, 0.1401), (9920, 0.132)]
    at, value = np.linspace(320, 9920, 30), {}
    for name, y in (("recon", recon), ("total", np.add(recon, kl))):
        value[name] = np.exp(np.interp(np.log(at), np.log(inputs), np.log(y)))
    settings = config(inputs=100_000)
    ends = {k: foresee(settings, {}, val, list(zip(at, v, strict=True))) for k, v in value.items()}
    assert ends["total"].value > val[-1][1]  # it would end above where it is
    assert ends["recon"].value < 0.8 * val[-1][1]
    assert shape_of({"recon": 1.0, "total": 2.0}) == 1.0
    assert shape_of({"total": 2.0}) == 2.0


def test_the_floor_that_counts_is_the_best_constant_of_the_loss():
    floors = [
        {"score": "recon", "value": 0.3, "means": "best constant"},
        {"score": "loss", "value": 9.0, "means": "initial loss"},
        {"score": "loss", "value": 0.5, "means": "best constant"},
    ]
    assert constant_of(floors, {}) == 0.5
    assert constant_of(floors, {"loss_scale": "log"}) == pytest.approx(math.exp(0.5))
    assert constant_of(floors[:2], {}) is None
    assert finished_curve(config(), {}, curve(N), floors=floors).constant == 0.5
    seen = curve(0.08 * N)
    floors[2]["value"] = seen[-1][1]  # it still stands there
    assert foresee(config(), {}, seen, floors=floors).low < 0.8 * foresee(config(), {}, seen).low
