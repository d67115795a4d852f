"""Pairs and noise against the tiles journal."""

import pytest
from benchmarks.reference_rows import read

from famulus.journal.facts import effects
from tests.journal.runs import group


def loss(one):
    return one.mean("val/loss")


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
    assert effects.pooled_spread(groups, "val/loss") == pytest.approx(0.0081, abs=2e-4)


def test_noise_decides_what_may_be_ranked():
    near, far = group({"a": 1}, 0.1000, 0.1010), group({"a": 2}, 0.1005, 0.1015)
    apart = group({"a": 3}, 0.2, 0.201)
    every = [near, far, apart]
    assert not effects.distinguishable(near, far, "val/loss", every)
    assert effects.distinguishable(near, apart, "val/loss", every)
    alone = [group({"a": 1}, 0.1), group({"a": 2}, 0.2)]
    assert effects.distinguishable(*alone, "val/loss", alone) is None


def test_scores_around_zero_have_absolute_noise():
    low, high = group({"a": 1}, -0.02, 0.02), group({"a": 2}, 0.48, 0.52)
    assert not effects.positive([low, high], "val/loss")
    assert effects.distinguishable(low, high, "val/loss", [low, high])
    spread = effects.pooled_spread([low, high], "val/loss", relative=False)
    assert spread == pytest.approx(0.02 * 2**0.5)


def test_a_name_stands_for_the_settings_that_it_brings():
    rows = [
        ("white", 32, 3, 1),
        ("yellow", 32, 25, 1),
        ("yellow", 32, 25, 2),
        ("purple", 128, 25, 1),
    ]
    axes = ["name", "width", "depth", "lr"]
    named = [group(dict(zip(axes, row, strict=True)), 0.1) for row in rows]
    assert effects.naming(named, axes) == ["name", "lr"]
    crossed = [group({"a": a, "b": b}, 0.1) for a in (1, 2) for b in (1, 2, 3)]
    assert (
        effects.naming(crossed[:4], ["a", "b"]) == effects.naming(crossed, ["a", "b"]) == ["a", "b"]
    )
    both = [group({"a": n, "b": n}, 0.1) for n in (1, 2)]  # neither is the other's name
    assert effects.naming(both, ["a", "b"]) == ["a", "b"]
