"""Pairs and noise against the tiles journal."""

import math

import pytest
from benchmarks.reference_rows import read
from scipy import stats

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


@pytest.mark.parametrize("level", [1.0, 0.0])
@pytest.mark.parametrize(("n", "m"), [(4, 4), (2, 8), (8, 2)])
@pytest.mark.parametrize(("near", "told"), [(0.99, False), (1.01, True)])
def test_means_are_told_apart_from_the_95th_percentile_of_their_difference_on(
    level, n, m, near, told
):
    """Of N(0, s) each: s sqrt(1/n + 1/m), s pooled with one degree of freedom lost a group.

    In units of Student's t with what degrees of freedom are left. Around zero the noise is
    absolute; far above it, relative to each mean, which are near enough.
    """
    s = 1e-4
    limit = stats.t.ppf(0.975, n + m - 2) * s * math.sqrt(1 / n + 1 / m)

    def scattered(mean, count):
        """Pairs around the mean, whose squares add up to s^2 (count - 1)."""
        size = s * math.sqrt((count - 1) / count)
        return [mean + size * (-1) ** k for k in range(count)]

    low, high = (
        group({"a": 1}, *scattered(level, n)),
        group({"a": 2}, *scattered(level + near * limit, m)),
    )
    every = [low, high]
    assert effects.positive(every, "val/loss") == (level > 0)
    assert effects.pooled_spread(every, "val/loss", level > 0) == pytest.approx(s, rel=1e-3)
    assert effects.distinguishable(low, high, "val/loss", every) is told


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
    both = [group({"a": n, "b": n}, 0.1) for n in (1, 2)]  # each is the other's name
    assert effects.naming(both, ["a", "b"]) == ["a"]
