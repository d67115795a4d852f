"""How long trial trainings may take together, and what is not looked for."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.diagnosis.controls import trials as module
from famulus.diagnosis.controls.trial import Judged, Subject, far_input, unusual_input
from famulus.diagnosis.controls.trials import trials

UPDATES = []


class Counted(torch.optim.SGD):
    def step(self, closure=None):
        UPDATES.append(1)
        return super().step(closure)


class CountedAdam(torch.optim.Adam):
    def step(self, closure=None):
        UPDATES.append(1)
        return super().step(closure)


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    UPDATES.clear()
    monkeypatch.setattr(torch.optim, "Adam", CountedAdam)


def subject(optimizer=Counted, lr=1e-4, scale=1.0, act=nn.ReLU, size=16, steps=20, **more):
    """A run of few steps on two classes that a line divides."""
    torch.manual_seed(0)
    x = torch.randn(16 * size, 2)
    y = (x.sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(2, 8), act(), nn.Linear(8, 2))
    start = copy.deepcopy(model.state_dict())
    batches = list(zip((scale * x).split(size), y.split(size), strict=True))
    trained = optimizer(model.parameters(), lr=lr)
    for n in range(steps):
        trained.zero_grad()
        F.cross_entropy(model(batches[n % 16][0]), batches[n % 16][1]).backward()
        trained.step()
    UPDATES.clear()
    return Subject(
        model, start, batches, "cross_entropy", 1.0, optimizer, {"lr": lr}, steps, **more
    )


def causes(controls):
    return {c.cause for c in controls if c.cause}


@pytest.mark.parametrize("most", [0, 500, 1700, 5000])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optimizer": CountedAdam},
        {"scale": 1e4, "act": nn.Sigmoid},
        {"lr": 1e-7, "act": nn.Tanh, "scale": 1e4, "size": 128},
    ],
)
def test_they_take_no_more_steps_than_they_may(most, change):
    controls = trials(subject(**change), budget_s=0.0, steps=most)
    assert len(UPDATES) <= most
    if most < 500:
        assert not UPDATES
        assert controls[0].verdict == "skipped"
    if most == 5000:
        assert len(UPDATES) > 400
        assert controls[-1].verdict == "ok"


def test_what_helps_is_the_same_however_slow_the_clock(monkeypatch):
    """With steps no clock is asked; with seconds a slow one leaves too few steps."""
    one = trials(subject(CountedAdam), budget_s=0.0, steps=4000)
    ticks = iter(range(0, 10**9, 10**6))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    two = trials(subject(CountedAdam), budget_s=0.0, steps=4000)
    assert [c.json() for c in one] == [c.json() for c in two]
    assert causes(one) == {"rate-too-low"}
    assert trials(subject(), budget_s=10.0)[0].verdict == "skipped"


@pytest.mark.parametrize("early", [False, True])
def test_of_a_run_that_was_stopped_early_its_length_is_no_fault(early):
    controls = trials(subject(lr=0.1, ended_early=early), budget_s=0.0, steps=10_000)
    assert ("too-few-epochs" in causes(controls)) != early


def test_whoever_has_learned_a_good_part_may_end_there():
    """Nobody said how long a loop of one's own should be."""
    for steps, left, verdict in ((6, (0.5, 2.0), "failed"), (20, (0.1, 0.5), "note")):
        controls = trials(subject(lr=0.1, steps=steps), 0.0, steps=10_000)
        assert left[0] < controls[-1].figures["run"] < left[1]
        assert [(c.cause, c.verdict) for c in controls if c.cause] == [("too-few-epochs", verdict)]
    # as its validation says, whatever a share of wrong answers does
    controls = trials(subject(lr=0.1, steps=6, learned=True), 0.0, steps=10_000)
    assert [c.verdict for c in controls if c.cause == "too-few-epochs"] == ["note"]


@pytest.mark.parametrize(("kept", "cause"), [(0.02, "rate-cannot-reach"), (0.5, None)])
def test_a_rate_that_a_schedule_took_away(kept, cause):
    """The run had its rate for a few steps; as long at a constant rate, the same net learns."""
    run = subject(CountedAdam, lr=1e-2, steps=3, kept=kept)
    run.steps = 300
    found = causes(trials(run, 0.0, steps=10_000))
    assert (found == {"rate-cannot-reach"}) == (cause is not None)


def test_rates_are_tried_until_one_is_usual():
    controls = trials(subject(CountedAdam, lr=1e-8, steps=300), 0.0, steps=20_000)
    (named,) = [c for c in controls if c.cause]
    assert named.cause == "rate-too-low"
    assert 1e-3 <= named.figures["rate"] <= 1.0
    far_too_high = trials(subject(Counted, lr=1e5, steps=50), 0.0, steps=20_000)
    rates = [c.figures["rate"] for c in far_too_high if c.cause == "rate-too-high"]
    assert rates
    assert 1e-2 <= rates[0] <= 10


def test_of_rates_that_do_as_well_the_middle_one_is_named():
    scores = {0.1: 0.02, 0.01: 0.0, 0.001: 0.01, 1e-4: 0.4}
    each = {rate: Judged(left, torch.empty(0)) for rate, left in scores.items()}
    assert module._middle(each) == 0.01
    assert module._middle({0.1: Judged(float("inf"), torch.empty(0))}) == 0.1


def test_a_rate_is_a_smaller_change_than_another_input_unless_that_is_far_off():
    """Both would help: a column that is 1,000 times as large as the other one, or all of them."""
    torch.manual_seed(0)
    near = subject(lr=30.0, steps=60)
    for x, _ in near.batches:
        x[:, 1] *= 1e-3
    assert unusual_input(near)
    assert not far_input(near)
    far = subject(scale=1e4)
    assert unusual_input(far)
    assert far_input(far)
    for run, first in ((near, "rate-too-high"), (far, "input-out-of-range")):
        search = module._Search(run, 0.0, 10_000)
        search.run_left = search.again = 1.0
        search.steps = 60
        good = Judged(0.0, torch.empty(0))
        ways = [search.way(cause, good) for cause in ("input-out-of-range", "rate-too-high")]
        assert next(c.cause for c in search.named(ways)) == first


def test_where_a_schedule_took_the_rate_away_one_long_trial_comes_first(monkeypatch):
    """A slow machine, whose twenty trials would all be too short."""
    run = subject(CountedAdam, lr=1e-2, steps=3, kept=0.02)
    run.steps = 300
    ticks = iter(range(0, 10**9, 6))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    assert causes(trials(run, 120.0)) == {"rate-cannot-reach"}  # 5 steps a second
    assert len(UPDATES) < 250
