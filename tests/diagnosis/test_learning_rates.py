"""The learning rate to try next: of the size that the run asks for, and in the right direction."""

import pytest

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.remedy import OWN_LOOP
from tests.diagnosis.rules.limits.limit import RATE, run
from tests.diagnosis.rules.limits.of_layers import steep


def learning_rate_check(verdict, cause="", **figures):
    figures = {"suggestion": None, "configured": RATE, **figures}
    return {"name": "learning rate", "verdict": verdict, "cause": cause, "figures": figures}


@pytest.mark.parametrize("times", [1, 3, 20, 100])
def test_a_rate_so_many_times_too_high_is_lowered_by_as_much(times):
    """Updates are proportional to the rate: at the rate proposed they are of the usual size."""
    history = steep(rates.TARGET * times)
    proposed = rates.lower(history)
    assert proposed == pytest.approx(RATE / max(times, 10), rel=0.06)  # a tenth at least


@pytest.mark.parametrize("times", [3, 100, 1000])
def test_a_rate_that_is_far_too_low_is_raised_by_as_much(times):
    proposed = rates.higher(steep(rates.TARGET / times))
    assert proposed == pytest.approx(RATE * max(times, 10), rel=0.06)


def test_evidence_decides_the_direction():
    assert rates.direction(steep(0.1)) == "lower"
    assert rates.direction(steep(1e-6)) == "higher"  # as at a rate of 1e-7
    assert rates.direction(steep(1e-3)) == ""
    assert rates.direction(run([1.0] * 4)) == ""
    tiny = run([1.0] * 4, config={"training": {"optimizer": {"lr": 1e-7}}})
    for event in tiny.train:
        event["lr"] = 1e-7
    assert rates.direction(tiny) == "higher"  # though no layer was measured


def test_what_a_check_has_tried_counts_for_more():
    failed = learning_rate_check("failed", "rate-too-high", slower=2e-4)
    history = steep(1e-3, controls=[failed])
    assert rates.direction(history) == "lower"
    assert rates.lower(history) == 2e-4
    slow = learning_rate_check("warning", "rate-too-low", tried=0.3)
    history = steep(1e-3, controls=[slow])
    assert (rates.direction(history), rates.higher(history)) == ("higher", 0.3)
    trial = {"name": "trial rate-too-low", "verdict": "failed", "cause": "rate-too-low"}
    history = steep(1e-3, controls=[trial | {"figures": {"rate": 0.5}}])
    assert rates.higher(history) == 0.5


def test_the_rate_is_that_of_the_schedule_s_peak_not_of_its_end():
    history = steep(0.5)
    for n, event in enumerate(history.train):
        event["lr"] = RATE * (1 - n / len(history.train))  # which ends at next to nothing
    assert rates.peak(history) == RATE
    assert rates.lower(history) == pytest.approx(RATE / 100)  # .5 a step: a hundredth at once


def test_the_ratio_is_held_against_the_rate_of_its_own_steps():
    """Under a warm-up the early steps have a tenth of the rate: at the peak they were ten times."""
    history = steep(0.01)
    for event in history.train[:6]:
        event["lr"] = RATE / 10
    found = rates.ratios(history)
    assert (found.rate, found.first, found.last) == (RATE / 10, 1, 5)
    assert rates.lower(history) == pytest.approx(RATE / 50, rel=0.06)


def test_a_loop_whose_scheduler_raised_the_rate():
    history = run([1.0] * 4, config={"task": OWN_LOOP, "training": {"optimizer": {"lr": 1e-4}}})
    assert rates.peak(history) == RATE  # as it was logged


def test_either_way_where_nothing_tells():
    low, high = (step.ways[0][0].value for step in rates.steps(run([1.0] * 4)))
    assert (low, high) == (RATE / 10, RATE * 10)
