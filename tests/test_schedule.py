"""One formula of the rate, against torch's own schedulers; training and forecast both use it."""

from typing import get_args

import pytest
import torch
from scipy import integrate
from torch import nn

from famulus.config.schema import ALL_OPTIONS, OWN_OPTIONS, Schedule, Shape
from famulus.schedule import FOLLOWS_SCORES, SHAPES, Place, learning_rate, rate_to_come

STEPS, BATCH = 50, 16


def rates(**schedule):
    spec = Schedule.model_validate(schedule)
    places = [Place(step * BATCH, STEPS * BATCH, BATCH, 100) for step in range(STEPS)]
    return [learning_rate(spec, 0.1, place) for place in places]


def torchs(make):
    """Rates of a scheduler of torch's at the same steps."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = make(optimizer)
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_shapes_are_those_of_torch():
    library = torch.optim.lr_scheduler
    cosine = torchs(lambda o: library.CosineAnnealingLR(o, STEPS, eta_min=0.01))
    assert rates(name="cosine", final_lr=0.01) == pytest.approx(cosine, rel=1e-6)
    linear = torchs(lambda o: library.LinearLR(o, 1.0, 0.1, STEPS))
    assert rates(name="linear", final_lr=0.01) == pytest.approx(linear, rel=1e-6)
    stairs = torchs(lambda o: library.StepLR(o, 20, 0.5))
    assert rates(name="step", factor=0.5, every={"steps": 20}) == pytest.approx(stairs)
    assert rates(name="cosine") != pytest.approx(linear, rel=0.1)  # the comparison can fail


def test_a_warm_up_rises_in_a_line_to_the_base():
    found = rates(name="constant", warmup_inputs=10 * BATCH)
    assert found[:10] == pytest.approx([0.1 * (k + 1) / 10 for k in range(10)])
    assert set(found[10:]) == {0.1}


def missing(names, formulas):
    """Schedules that an experiment file may name and nobody can compute, and the other way."""
    return sorted(set(names) ^ set(formulas))


def test_every_schedule_has_its_formula_and_its_name():
    assert missing(get_args(Shape), SHAPES) == []
    assert missing([*get_args(Shape), "cyclic"], SHAPES) == ["cyclic"]  # added in one place only
    assert missing(get_args(Shape), {**SHAPES, "cyclic": None}) == ["cyclic"]
    assert set(SHAPES) >= FOLLOWS_SCORES


def test_every_option_belongs_to_a_schedule():
    """Else it is accepted with any of them, and does nothing."""
    shared = {"name", "final_lr", "warmup_inputs"}
    assert set(Schedule.model_fields) - shared == set(ALL_OPTIONS)
    assert set(OWN_OPTIONS) <= set(SHAPES)


def to_come(lr=1.0, budget=10, **schedule):
    return rate_to_come(Schedule(**schedule), lr, Place(0, budget, 1, 0))


def test_the_rate_to_come_over_inputs():
    area = integrate.quad(to_come(name="cosine", final_lr=0.2), 0, 10)[0]
    assert area == pytest.approx(6)
    warm = to_come(name="linear", warmup_inputs=4)
    assert [warm(n) for n in (0, 1, 3, 4, 7, 10, 12)] == pytest.approx([0.25, 0.5, 1, 1, 0.5, 0, 0])
    step = to_come(name="step", factor=0.5, every={"inputs": 3})
    assert [step(n) for n in (0, 2.9, 3, 6, 9)] == pytest.approx([1, 1, 0.5, 0.25, 0.125])
    with pytest.raises(ValueError, match="plateau schedule follows scores"):
        to_come(name="plateau")
    with pytest.raises(ValueError, match="number of training samples"):
        to_come(name="step", every={"epochs": 1})
    with pytest.raises(ValueError, match="number of training samples"):
        to_come(name="step", every={"epochs": 1}, warmup_inputs=4)  # not only at its end
