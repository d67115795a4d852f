"""Counts, shares, classes: sizes, nesting, and what is refused."""

import numpy as np
import pytest

from famulus.config.errors import ConfigError, DataError
from famulus.images.subset import choose

LABELS = np.arange(100) % 4
CLASSES = ("ant", "bee", "cat", "dog")


@pytest.mark.parametrize(("subset", "count"), [(None, 100), (7, 7), (100, 100), (0.25, 25)])
def test_how_many(subset, count):
    chosen = choose(100, subset, 0)
    assert len(set(chosen.tolist())) == count
    assert chosen.tolist() == sorted(chosen.tolist())
    assert chosen.dtype == np.int64


def test_a_smaller_one_lies_inside_a_larger_one_and_the_seed_matters():
    small, large, other = choose(100, 10, 0), choose(100, 0.3, 0), choose(100, 10, 1)
    assert np.isin(small, large).all()
    assert small.tolist() == choose(100, 10, 0).tolist()
    assert small.tolist() != other.tolist()
    assert small.tolist() != list(range(10))


def test_classes():
    chosen = choose(100, ["bee", "dog"], 0, LABELS, CLASSES)
    assert chosen.tolist() == [i for i in range(100) if LABELS[i] in (1, 3)]
    assert choose(100, [3], 0, LABELS, tuple("0123")).tolist() == list(range(3, 100, 4))


@pytest.mark.parametrize("subset", [0, -1, True, False, 0.0, 1.0, 1.5, "bee", [], {}])
def test_what_is_no_subset(subset):
    with pytest.raises(ConfigError, match=r"data\.subset: expected a count, a share"):
        choose(100, subset, 0, LABELS, CLASSES)


def test_messages():
    with pytest.raises(ConfigError, match="ant, bee, cat, dog; got 'bees'"):
        choose(100, ["ant", "bees"], 0, LABELS, CLASSES)
    with pytest.raises(ConfigError, match="no classes here"):
        choose(100, ["ant"], 0)
    with pytest.raises(DataError, match="at most 100"):
        choose(100, 101, 0)
    with pytest.raises(DataError, match="no sample of dog"):
        choose(2, ["dog"], 0, LABELS[:2], CLASSES)
