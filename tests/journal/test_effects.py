"""Shares of variance against sums of squares by hand; pairs against the tiles journal."""

import itertools

import numpy as np
import pytest

from famulus.journal import effects
from tests.journal.rows import read
from tests.journal.runs import group


def loss(one):
    return one.mean("val/loss")


def grid(values):
    """Groups of a 2 x 3 design, a row an `a`."""
    return [
        group({"a": a, "b": b}, values[a][b], key=3 * a + b)
        for a, b in itertools.product(range(2), range(3))
    ]


VALUES = np.array([[1.0, 2.0, 4.0], [2.0, 3.5, 7.0]])


def test_shares_are_eta_squared_where_the_design_is_complete():
    total = ((VALUES - VALUES.mean()) ** 2).sum()
    a = 3 * ((VALUES.mean(1) - VALUES.mean()) ** 2).sum() / total
    b = 2 * ((VALUES.mean(0) - VALUES.mean()) ** 2).sum() / total
    got = effects.shares(grid(VALUES), ["a", "b"], loss)
    assert got == pytest.approx({"b": b, "a": a})
    assert list(got) == ["b", "a"]


def test_shares_decline_a_sparse_or_repeated_design():
    groups = grid(VALUES)
    assert effects.shares(groups[:4], ["a", "b"], loss) == {}
    assert effects.shares([*groups, groups[0]], ["a", "b"], loss) == {}
    assert effects.shares(grid(np.ones((2, 3))), ["a", "b"], loss) == {}


def test_the_journals_findings_come_out_of_its_rows():
    """Bilinear filtering lowers the loss in all 12 pairs, by 22-38 %."""
    groups = [group(a, v) for a, v, _ in read()]
    one = effects.pairs(groups, "aa", ["ds", "aa", "res", "lr"], loss)
    assert (one.low, one.high, one.wins, len(one.ratios)) == (True, False, 12, 12)
    drops = sorted(1 - r for r in one.ratios)
    assert (round(drops[0], 2), round(drops[-1], 2)) == (0.22, 0.38)


def test_the_pooled_noise_of_the_twelve_unresized_rows():
    twice: dict = {}
    for axes, value, _ in read():
        if "aa" not in axes:
            twice.setdefault((axes["ds"], axes["res"], axes["lr"]), []).append(value)
    groups = [group({"k": str(k)}, *v) for k, v in twice.items()]
    assert effects.pooled_relative_spread(groups, "val/loss") == pytest.approx(0.0081, abs=2e-4)


def test_noise_decides_what_may_be_ranked():
    near, far = group({"a": 1}, 0.1000, 0.1010), group({"a": 2}, 0.1005, 0.1015)
    apart = group({"a": 3}, 0.2, 0.201)
    pooled = effects.pooled_relative_spread([near, far, apart], "val/loss")
    assert not effects.distinguishable(near, far, "val/loss", pooled)
    assert effects.distinguishable(near, apart, "val/loss", pooled)
    assert effects.distinguishable(near, apart, "val/loss", None) is None
