"""Validation on several fragments: the joined source against its parts, and who gets a window."""

import numpy as np
import pytest
import torch

from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import validation_batches
from famulus.feed.streams import sample_seeds
from famulus.tasks.scroll import validation_split as held_out
from famulus.tasks.scroll.cubes import CubeSource, Scale
from famulus.tasks.scroll.joined_source import Joined
from famulus.tasks.scroll.validation_split import Held
from famulus.volumes.bricks import ArrayVolume
from famulus.volumes.open import Fragment

SCALE = Scale(100.0, 2.0)
SHAPES = ((6, 40, 64), (7, 24, 48), (6, 33, 17))  # 40, 18 and 8 windows of 8 x 8


def fragment(which, labels=True, dtype=np.uint16):
    rng = np.random.default_rng(which)
    shape = SHAPES[which]
    volume = rng.integers(0, 200, shape).astype(dtype)
    drawn = rng.integers(0, 2, shape[1:]).astype(np.uint8) if labels else None
    return Fragment(f"f{which}", ArrayVolume(volume, f"f{which}"), np.ones(shape[1:], bool), drawn)


def of(*which, most=None, seed=0):
    held = [Held(f, f.mask) for f in map(fragment, which)]
    return held_out.windows(held, (4, 8, 8), SCALE, 0.5, most, seed)


def test_the_joined_source_is_its_parts():
    joined, singles = of(0, 1, 2), [of(i) for i in range(3)]
    assert isinstance(joined, Joined)
    assert all(isinstance(s, CubeSource) for s in singles)
    assert [len(s) for s in singles] == [40, 18, 8]
    index = np.random.default_rng(3).permutation(len(joined))  # in no order, all of them
    seeds = sample_seeds(0, 0, index)
    got = joined.finish(joined.gather(index, seeds), seeds)
    for row, at in enumerate(index):
        part = int(np.searchsorted([40, 58], at, side="right"))
        own = np.array([at - (0, 40, 58)[part]])
        want = singles[part].finish(singles[part].gather(own, seeds[:1]), seeds[:1])
        assert int(got["fragment"][row]) == part
        assert set(got) == {*want, "fragment"}
        for name, value in want.items():
            assert torch.equal(got[name][row], value[0]), (name, at)


def test_any_batch_gives_the_same_validation():
    joined = of(0, 1, 2)
    one, other = (
        {k: torch.cat([b[k] for b in batches]) for k in ("image", "label", "fragment", "index")}
        for batches in (list(validation_batches(joined, n, "cpu")) for n in (7, 100))
    )
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert one["fragment"].bincount().tolist() == [40, 18, 8]


def test_halves_by_parity_are_balanced_over_fragments():
    for most in (None, 11, 30):
        joined = of(0, 1, 2, most=most)
        whole = next(validation_batches(joined, 1000, "cpu"))
        even = whole["index"] % 2 == 0
        for part in range(3):
            mine = whole["fragment"] == part
            assert abs(int((mine & even).sum()) - int((mine & ~even).sum())) <= 1


def test_fingerprints_differ():
    made = [of(0, 1), of(1, 0), of(0, 2), of(0, 1, 2), of(0), of(0, 1, most=20)]
    assert len({m.fingerprint for m in made}) == len(made)
    assert of(0, 1).fingerprint == made[0].fingerprint


def test_an_index_outside_is_refused():
    joined = of(0, 1)
    for wrong in (-1, 58):
        with pytest.raises(IndexError, match="from 0 to 57"):
            joined.gather(np.array([0, wrong]), sample_seeds(0, 0, np.arange(2)))


def test_most_is_shared_out():
    counts = [40, 18, 8, 1]
    for most in (4, 11, 28, 66, 67, 100):
        kept = held_out.share(counts, most, 0)
        sizes = [len(k) for k in kept]
        assert sum(sizes) == min(most, sum(counts))
        full = [n for n, c in zip(sizes, counts, strict=True) if n < c]
        assert not full or max(sizes) - min(full) <= 1  # nobody has less, who has more to give
        for k, n in zip(kept, counts, strict=True):
            assert np.array_equal(k, np.unique(k))
            assert not len(k) or 0 <= k[0] <= k[-1] < n
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(held_out.share(counts, 28, 0), held_out.share(counts, 28, 1), strict=True)
    )
    with pytest.raises(ConfigError, match=r"for each of 3 fragments, received 2"):
        of(0, 1, 2, most=2)


def test_labels_are_there_for_all_or_none():
    held = [Held(f, f.mask) for f in (fragment(0), fragment(1, labels=False))]
    joined = held_out.windows(held, (4, 8, 8), SCALE, 0.5, None, 0)
    batch = next(validation_batches(joined, 100, "cpu"))
    assert "label" not in batch
    assert len(batch["image"]) == 58


def test_what_is_wrong_is_said_of_its_fragment():
    small = Fragment(
        "small", ArrayVolume(np.zeros((6, 7, 90), np.uint16), "s"), np.ones((7, 90), bool)
    )
    held = [Held(f, f.mask) for f in (fragment(0), small)]
    with pytest.raises(DataError, match=r"^small: cube .* larger than the fragment"):
        held_out.windows(held, (4, 8, 8), SCALE, 0.5, None, 0)
    with pytest.raises(DataError, match=r"f1: expected voxels of uint16 .* received uint8"):
        held_out.alike(fragment(0), fragment(1, dtype=np.uint8))
    held_out.alike(fragment(0), fragment(1, dtype=">u2"))  # the other byte order will do
    blank = Fragment("blank", small.volume, small.mask, np.zeros((7, 90), np.uint8))
    with pytest.raises(DataError, match="blank: the validation region's labels are all 0"):
        held_out.both_values("validation", blank, blank.mask)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "at least one seed or path"),
        ([1, 2.0], r"seeds \(integers\) or of paths, received 2\.0"),
        ([0.25], r"received 0\.25"),
        ([1, True], "received True"),
        (["a", 2], "received 2"),
        ([1, [2]], r"received \[2\]"),
        ([3, 1, 3], "once, received 3 twice"),
        (["a", "b", "a"], "once, received 'a' twice"),
    ],
)
def test_a_list_that_cannot_be_one(given, message):
    with pytest.raises(ValueError, match=message):
        held_out.several(given)
