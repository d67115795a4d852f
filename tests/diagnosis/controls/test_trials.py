"""How long trial trainings may take together, and what is not looked for."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.diagnosis.controls import trial as trial_module
from famulus.diagnosis.controls import trials as module
from famulus.diagnosis.controls.trial import Budget, Judged, Subject, far_input, unusual_input
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
    controls = trials(subject(**change), Budget(most))
    assert len(UPDATES) <= most
    if most < 500:
        assert not UPDATES
        assert controls[0].verdict == "skipped"
    if most == 5000:
        assert len(UPDATES) > 400
        assert controls[-1].verdict == "ok"


def clock(monkeypatch, seconds):
    """Each look at it is that much later."""
    ticks = (n * seconds for n in itertools.count())
    monkeypatch.setattr(trial_module.time, "perf_counter", lambda: next(ticks))


SLOW = (0.0, 0.02, 0.05, 0.3, 1e6)  # seconds of a step


@pytest.mark.parametrize(
    "change",
    [{}, {"optimizer": CountedAdam}, {"lr": 1e-7, "act": nn.Tanh}],
)
def test_the_clock_decides_whether_a_cause_is_named_and_never_which(change, monkeypatch):
    """A slower machine, or a busy one: the same controls to the last digit, or none."""
    run = subject(**change)
    whole = [c.json() for c in trials(run, Budget(1500))]
    assert any(c["cause"] for c in whole)
    ends = []
    for seconds in SLOW:
        clock(monkeypatch, seconds)
        controls = [c.json() for c in trials(run, Budget(1500, 30.0))]
        ends.append(controls == whole)
        if not ends[-1]:
            (only,) = controls
            assert (only["verdict"], only["cause"]) == ("skipped", "")
            assert "controls_s=" in only["remedy"]
    assert ends == sorted(ends, reverse=True)  # whoever is fast enough
    assert ends[0]
    assert not ends[-1]


def test_the_time_that_is_asked_for_is_enough(monkeypatch):
    run = subject(CountedAdam)
    clock(monkeypatch, 0.5)
    (only,) = trials(run, Budget(1500, 60.0))
    asked = float(only.remedy.removeprefix("Monitor(..., controls_s=").removesuffix(")"))
    assert asked < 2 * 750
    assert causes(trials(run, Budget(1500, asked))) == {"rate-too-low"}


def test_what_would_plainly_take_too_long_is_not_begun(monkeypatch):
    clock(monkeypatch, 1.0)
    assert trials(subject(), Budget(4000, 400.0))[0].verdict == "skipped"
    assert len(UPDATES) <= 4000 // 20


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop"])
@pytest.mark.parametrize("lr", [1e-7, 1e-5])
def test_a_rate_that_no_net_learns_at_is_named_whatever_the_optimizer(optimizer, lr):
    run = subject(getattr(torch.optim, optimizer), lr=lr)
    named = [c for c in trials(run, Budget(1500)) if c.cause]
    assert named[0].cause == "rate-too-low"
    assert "optimizer-choice" not in {c.cause for c in named}
    assert named[0].figures.get("rate", 1.0) >= 1e-4


class OneBefore(torch.optim.Optimizer):
    """Moves by the sign of a gradient, in steps a thousand times smaller than asked for."""

    def __init__(self, params, lr=1e-3):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data -= 1e-9 * group["lr"] * p.grad.sign()


class AdamOfSomebody(OneBefore):
    """Whoever wrote it, it is one of the family."""


@pytest.mark.parametrize(
    ("optimizer", "lr", "cause"),
    [
        (OneBefore, 1e-3, "optimizer-choice"),  # a rate that Adam learns at
        (OneBefore, 1e-7, "rate-too-low"),  # one that it does not learn at either
        (AdamOfSomebody, 1e-3, None),
        (AdamOfSomebody, 1e-7, None),
    ],
)
def test_another_optimizer_is_named_where_it_is_one_and_the_rate_is_not_at_fault(
    optimizer, lr, cause
):
    found = causes(trials(subject(optimizer, lr=lr), Budget(1500)))
    assert found == ({cause} if cause else set())


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "NAdam", "RAdam", "Adamax", "SparseAdam"])
def test_whoever_has_one_of_adams_family_is_not_sent_to_adam(kind):
    search = module._Search(subject(), Budget(1))
    search.subject.optimizer = getattr(torch.optim, kind)
    assert search.is_adam
    assert search.adams(module.Change()) == []
    search.subject.optimizer = torch.optim.RMSprop
    assert not search.is_adam


def test_adams_own_rate_is_not_told_to_whoever_has_it(monkeypatch):
    """All changes together help only at the rate in use: then it is something else."""
    run = subject(CountedAdam, lr=0.01, scale=1e4, act=nn.Tanh, steps=60)
    search = module._Search(run, Budget(10_000))
    search.run = search.unchanged = Judged(1.0, torch.ones(8) + torch.arange(8) / 8)
    search.run_left = search.again = 1.0
    search.limit, search.steps, search.whole = 0.5, 60, module.Change(scaled=True)

    def left(name, change, steps=None, state=None):
        return Judged(0.0 if change.adam == 0.01 else 1.0, torch.zeros(8))

    monkeypatch.setattr(search, "left", left)
    assert search.needed() == []
    run.options["lr"] = search.lr = 1e-5
    assert [w.remedy for w in search.needed()] == ["CountedAdam(lr=0.01)"]


def test_relu6_squashes_nothing():
    """To torch it is a Hardtanh."""
    assert module.with_relu(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)))
    assert not module.with_relu(nn.Sequential(nn.Linear(2, 2), nn.ReLU6(), nn.Linear(2, 2)))


@pytest.mark.parametrize("early", [False, True])
def test_of_a_run_that_was_stopped_early_its_length_is_no_fault(early):
    controls = trials(subject(lr=0.1, ended_early=early), Budget(10_000))
    assert ("too-few-epochs" in causes(controls)) != early


def test_whoever_has_learned_a_good_part_may_end_there():
    """Nobody said how long a loop of one's own should be."""
    for steps, left, verdict in ((6, (0.5, 2.0), "failed"), (20, (0.1, 0.5), "note")):
        controls = trials(subject(lr=0.1, steps=steps), Budget(10_000))
        assert left[0] < controls[-1].figures["run"] < left[1]
        assert [(c.cause, c.verdict) for c in controls if c.cause] == [("too-few-epochs", verdict)]
    # as its validation says, whatever a share of wrong answers does
    controls = trials(subject(lr=0.1, steps=6, learned=True), Budget(10_000))
    assert [c.verdict for c in controls if c.cause == "too-few-epochs"] == ["note"]


@pytest.mark.parametrize(("kept", "cause"), [(0.02, "rate-cannot-reach"), (0.5, None)])
def test_a_rate_that_a_schedule_took_away(kept, cause):
    """The run had its rate for a few steps; as long at a constant rate, the same net learns."""
    run = subject(CountedAdam, lr=1e-2, steps=3, kept=kept)
    run.steps = 300
    found = causes(trials(run, Budget(10_000)))
    assert (found == {"rate-cannot-reach"}) == (cause is not None)


def test_rates_are_tried_until_one_is_usual():
    controls = trials(subject(CountedAdam, lr=1e-8, steps=300), Budget(20_000))
    (named,) = [c for c in controls if c.cause]
    assert named.cause == "rate-too-low"
    assert 1e-3 <= named.figures["rate"] <= 1.0
    far_too_high = trials(subject(Counted, lr=1e5, steps=50), Budget(20_000))
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
        search = module._Search(run, Budget(10_000))
        search.run_left = search.again = 1.0
        search.steps = 60
        good = Judged(0.0, torch.empty(0))
        ways = [search.way(cause, good) for cause in ("input-out-of-range", "rate-too-high")]
        assert next(c.cause for c in search.named(ways)) == first


def test_where_a_schedule_took_the_rate_away_one_long_trial_comes_first(monkeypatch):
    """A slow machine, on which all trials together would take too long."""
    run = subject(CountedAdam, lr=1e-2, steps=3, kept=0.02)
    run.steps = 300
    clock(monkeypatch, 0.2)  # 5 steps a second
    assert causes(trials(run, Budget(module.TOGETHER, 120.0))) == {"rate-cannot-reach"}
    assert len(UPDATES) <= 300
