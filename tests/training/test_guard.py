"""The guard of the logged loss: what a spike is measured against, and from when on."""

import math

import pytest

from famulus.config.schema import Spike, Training
from famulus.training.guard import inspect
from famulus.training.progress import Progress

STEADY = [1.0] * 20


def alarm(recent, total, factor=2.0, **losses):
    training = Training(inputs=1, spike=Spike(factor=factor), on_nan="stop")
    return inspect(training, Progress(recent=list(recent)), {"total": total, **losses})


@pytest.mark.parametrize("factor", [2.0, 10.0])
def test_a_spike_is_the_configured_multiple_of_the_level(factor):
    assert alarm(STEADY, 0.99 * factor, factor) is None
    assert alarm(STEADY, 1.01 * factor, factor).cause == "loss-spike"


@pytest.mark.parametrize(
    "recent",
    [
        [1.0, 1.0, 1.0, 50.0, 50.0],  # mean 20.6, largest 50
        [1.0, 1.0, 1.0, 0.001, 0.001],  # mean .6, least .001
        [5.0, 5.0, 1.0, 0.2, 0.2],  # mean 2.3, geometric mean 1
    ],
)
def test_the_level_is_the_median_whatever_else_was_logged(recent):
    """Not the mean, nor an extreme: one spike does not hide the next, nor does a dip make one."""
    assert alarm(recent, 1.98) is None
    spike = alarm(recent, 2.02)
    assert spike.cause == "loss-spike"
    assert "2.0 times its recent median 1" in spike.text


def test_the_median_of_an_even_number_lies_between_the_middle_two():
    recent = [0.1, 0.5, 1.5, 9.0, 0.2, 8.0]
    assert alarm(recent, 1.98) is None
    assert alarm(recent, 2.02) is not None


def test_five_losses_make_a_level():
    assert alarm([1.0] * 4, 100.0) is None
    assert alarm([1.0] * 5, 100.0) is not None


def test_a_level_of_twenty_losses_is_remembered_and_no_more():
    progress = Progress()
    training = Training(inputs=1)
    for n in range(30):
        inspect(training, progress, {"total": float(n)})
    assert progress.recent == [float(n) for n in range(10, 30)]


def test_a_level_of_zero_or_below_says_nothing():
    assert alarm([0.0] * 9, 1.0) is None
    assert alarm([-1.0] * 9, 1.0) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_any_part_that_is_no_number_is_named_and_not_remembered(value):
    progress = Progress(recent=[1.0] * 5)
    spike = inspect(Training(inputs=1), progress, {"total": 1.0, "kl": value})
    assert (spike.cause, progress.recent) == ("loss-not-finite", [1.0] * 5)
    assert "kl = " in spike.text
