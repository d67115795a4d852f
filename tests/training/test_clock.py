"""Wall time by a clock that the test turns: what is aside is taken off rates, once."""

from types import SimpleNamespace

import pytest

from famulus.training import clock as module
from famulus.training.clock import Clock
from famulus.training.progress import Progress


@pytest.fixture
def wall(monkeypatch):
    """`wall.pass_(s)` lets seconds go by; they start at an odd place, as perf_counter's do."""
    state = SimpleNamespace(now=1234.5)

    def pass_(seconds):
        state.now += seconds

    state.pass_ = pass_
    monkeypatch.setattr(module.time, "perf_counter", lambda: state.now)
    return state


def started(seconds=0.0, inputs=0, kind=Clock):
    progress = Progress(seconds=seconds, inputs=inputs)
    feeder = SimpleNamespace(waited_s=0.0)
    return kind(progress, feeder), progress, feeder


class Twice(Clock):
    """The broken one: takes off twice what is aside."""

    def lap(self):
        self.lap_aside *= 2
        return super().lap()


def test_a_lap_without_anything_aside(wall):
    clock, progress, feeder = started()
    wall.pass_(4.0)
    progress.inputs, feeder.waited_s = 100, 1.0
    assert clock.lap() == (25.0, 0.25)
    assert progress.seconds == clock.now() == 4.0


@pytest.mark.parametrize(("kind", "right"), [(Clock, True), (Twice, False)])
def test_training_and_what_is_aside_are_the_wall(wall, kind, right):
    """Steps of 3, 5 and 2 s, validations of 1, 2 and 0 s between them: each counted once."""
    clock, progress, _ = started(kind=kind)
    stepping = aside = 0.0
    for step, validation in ((3.0, 1.0), (5.0, 2.0), (2.0, 0.0)):
        wall.pass_(step)
        with clock.aside():
            wall.pass_(validation)
        progress.inputs += 60
        stepping += 60 / clock.lap()[0]
        aside += validation
    assert progress.seconds == 13.0
    assert (stepping + aside == pytest.approx(progress.seconds)) is right


def test_twice_aside_in_one_lap_and_one_inside_the_other(wall):
    """A checkpoint within a validation is part of it, not a second time aside."""
    clock, progress, _ = started()
    wall.pass_(4.0)
    with clock.aside():
        wall.pass_(1.0)
        with clock.aside():
            wall.pass_(2.0)
        wall.pass_(1.0)
    with clock.aside():
        wall.pass_(3.0)
    wall.pass_(1.0)
    progress.inputs = 10
    assert clock.lap()[0] == pytest.approx(10 / 5.0)
    assert progress.seconds == 12.0


def test_a_lap_that_ends_inside_what_is_aside(wall):
    """The part before the lap's end is that lap's, the rest the next one's."""
    clock, progress, _ = started()
    wall.pass_(2.0)
    with clock.aside():
        wall.pass_(3.0)
        progress.inputs = 10
        assert clock.lap()[0] == pytest.approx(10 / 2.0)
        wall.pass_(4.0)
    wall.pass_(5.0)
    progress.inputs = 30
    assert clock.lap()[0] == pytest.approx(20 / 5.0)


def test_time_aside_counts_where_it_ends_in_an_error(wall):
    clock, progress, _ = started()
    wall.pass_(1.0)

    def failing():
        with clock.aside():
            wall.pass_(5.0)
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    progress.inputs = 8
    assert clock.lap()[0] == pytest.approx(8.0)


def test_a_resumed_run_goes_on_from_the_seconds_before(wall):
    clock, progress, _ = started(seconds=100.0, inputs=500)
    wall.pass_(2.0)
    with clock.aside():
        wall.pass_(6.0)
    progress.inputs = 540
    assert clock.lap()[0] == pytest.approx(20.0)  # of the new inputs alone
    assert progress.seconds == 108.0
    wall.pass_(1.0)
    assert clock.now() == 109.0


def test_waiting_is_a_share_of_stepping_and_at_most_all_of_it(wall):
    clock, _, feeder = started()
    wall.pass_(2.0)
    with clock.aside():
        wall.pass_(8.0)
    feeder.waited_s = 0.5
    assert clock.lap()[1] == 0.25  # not a share of 10 s
    wall.pass_(1.0)
    feeder.waited_s = 9.0
    assert clock.lap()[1] == 1.0
