"""Fewer points of a curve: spikes stay, and LTTB is that of its definition, one point at a time."""

import numpy as np
import pytest

from famulus.journal.facts.decimate import lttb, min_max


def noisy(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.uniform(0.5, 1.5, count)), rng.normal(size=count)


@pytest.mark.parametrize("n", [10, 40, 101])
def test_every_spike_stays_up_and_down(n):
    _, y = noisy(1000)
    for at in (1, 333, 500, 998):
        for spike in (50.0, -50.0):
            spiked = y.copy()
            spiked[at] = spike
            kept = min_max(spiked, n)
            assert at in kept
            assert len(kept) <= n
            assert (kept[0], kept[-1]) == (0, 999)
            assert (np.diff(kept) > 0).all()


def test_lowest_and_highest_of_each_bucket():
    """Of 102 points, 100 between the ends in five buckets of 20."""
    _, y = noisy(102)
    buckets = [range(first, first + 20) for first in range(1, 101, 20)]
    expected = {0, 101} | {f(b, key=lambda i: y[i]) for b in buckets for f in (min, max)}
    assert set(min_max(y, 12).tolist()) == expected


@pytest.mark.parametrize("n", [3, 12, 27])
def test_the_largest_triangle_of_each_bucket(n):
    """Area of a triangle by its corners: half the absolute cross product of two sides."""
    inner = 25 * (n - 2)  # buckets of 25 between the ends
    x, y = noisy(inner + 2, seed=n)
    last, expected = np.array([x[0], y[0]]), [0]
    for first in range(1, inner + 1, 25):
        ahead = (
            slice(first + 25, min(first + 50, inner + 1))
            if first + 25 <= inner
            else slice(-1, None)
        )
        mean = np.array([x[ahead].mean(), y[ahead].mean()])

        def area(i, last=last, mean=mean):
            a, b = np.array([x[i], y[i]]) - last, mean - last
            return abs(a[0] * b[1] - a[1] * b[0]) / 2

        best = max(range(first, first + 25), key=area)
        expected.append(best)
        last = np.array([x[best], y[best]])
    assert lttb(x, y, n).tolist() == [*expected, inner + 1]


def test_few_points_stay_as_they_are():
    x, y = noisy(9)
    for few in (min_max(y, 9), lttb(x, y, 9), lttb(x, y, 2)):
        assert few.tolist() == list(range(9))
