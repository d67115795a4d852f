"""The stream is the passes end to end: compared with one that is written out in full."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from famulus.config.errors import DataError
from famulus.feed.order import Order
from famulus.feed.streams import permutation, sample_seeds


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 20), start=st.integers(0, 100), count=st.integers(1, 70))
def test_a_batch_is_a_slice_of_the_written_out_stream(n, start, count):
    passes = range((start + count) // n + 1)
    stream = np.concatenate([permutation(9, e, n) for e in passes])
    seeds = np.concatenate([sample_seeds(9, e, permutation(9, e, n)) for e in passes])
    got, got_seeds = Order(9, n).batch(start, count)
    assert (got == stream[start : start + count]).all()
    assert (got_seeds == seeds[start : start + count]).all()
    assert got_seeds.dtype == np.uint64


def test_going_back_and_forth_changes_nothing():
    order = Order(1, 10)
    seen = {p: order.batch(p, 7)[0].tolist() for p in range(0, 90, 7)}
    assert all(order.batch(p, 7)[0].tolist() == seen[p] for p in reversed(seen))
    assert len(order._passes) <= 2


def test_a_batch_may_be_written_to():
    order = Order(1, 10)
    order.batch(0, 10)[0][:] = -1
    assert order.batch(0, 10)[0].min() == 0


def test_no_samples():
    with pytest.raises(DataError, match="at least 1 sample, received 0"):
        Order(0, 0)
