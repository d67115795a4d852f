"""Round trips, a file written by hand, and every way to be damaged."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from famulus.config.errors import DataError
from famulus.images.idx import read_idx
from tests.images.idx_files import write_idx


def test_a_file_written_by_hand(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\0\0\x08\x02" + struct.pack(">II", 2, 3) + bytes(range(6)))
    assert read_idx(path, axes=2).tolist() == [[0, 1, 2], [3, 4, 5]]


@settings(max_examples=20, deadline=None)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4), packed=st.booleans())
def test_round_trip(tmp_path_factory, shape, packed):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if packed else "x")
    write_idx(path, array)
    assert np.array_equal(read_idx(path), array)


GOOD = b"\0\0\x08\x01" + struct.pack(">I", 4) + b"abcd"
DAMAGED = {
    "empty": (b"", "received an empty file"),
    "png": (b"\x89PNG\r\n", "magic 00 00 08"),
    "type": (b"\0\0\x0a\x01" + GOOD[4:], "magic 00 00 08"),
    "axes": (b"\0\0\x08\x02" + struct.pack(">II", 2, 2) + b"abcd", "expected 1 axes, received 2"),
    "header": (GOOD[:6], "header is cut short"),
    "short": (GOOD[:-1], "expected 4 bytes for .*, received 3"),
    "long": (GOOD + b"e", "received more"),
    "huge": (
        b"\0\0\x08\x01" + struct.pack(">I", 2**32 - 1),
        "too small to hold",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(tmp_path, case):
    raw, message = DAMAGED[case]
    for name, data in (("x", raw), ("x.gz", gzip.compress(raw))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=message):
            read_idx(tmp_path / name, axes=1)


def test_a_size_over_the_limit_is_refused_before_reading(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\0\0\x08\x03" + struct.pack(">III", 2**31, 2**31, 2**31))
    with pytest.raises(DataError, match="expected at most"):
        read_idx(path)


def test_a_truncated_gzip(tmp_path):
    whole = gzip.compress(
        b"\0\0\x08\x01" + struct.pack(">I", 9999) + np.random.default_rng(0).bytes(9999)
    )
    for cut in (5, 30, len(whole) - 9, len(whole) - 1):
        (tmp_path / "x.gz").write_bytes(whole[:cut])
        with pytest.raises(DataError, match="cannot be read"):
            read_idx(tmp_path / "x.gz")
