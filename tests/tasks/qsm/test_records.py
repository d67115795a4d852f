"""Records that are damaged on purpose are found, replaced and counted."""

import re

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.tasks.qsm.phantoms import Truth, shapes
from famulus.tasks.qsm.records import open_records, write_record

SIZE = (16, 16, 16)


def folder(tmp_path, count=6, swap=False):
    for i in range(count):
        truth = shapes(SIZE, i)
        if swap:
            truth = Truth(truth.field_ppm, truth.chi_ppm, truth.mask, truth.mask, truth.mask)
        write_record(tmp_path / f"{i:03}.npz", truth)
    return tmp_path


def test_good_records_are_left_alone(tmp_path):
    found = open_records(folder(tmp_path), 1.0, 0)
    assert (found.count, found.notes) == (6, [])
    assert np.array_equal(found.make(4).chi_ppm, shapes(SIZE, 4).chi_ppm)


def nan(path):
    truth = shapes(SIZE, 0)
    truth.field_ppm[1, 2, 3] = np.nan
    write_record(path, truth)


def other_map(path):
    a, b = shapes(SIZE, 50), shapes(SIZE, 51)
    np.savez(path, field_ppm=a.field_ppm, chi_ppm=b.chi_ppm)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-300]), "001.npz"),
        (lambda p: p.write_bytes(b""), "001.npz"),
        (lambda p: np.savez(p, field_ppm=np.zeros(SIZE)), "chi_ppm"),
        (lambda p: write_record(p, shapes((8, 16, 16), 0)), r"\(8, 16, 16\) voxels"),
        (nan, "NaN"),
        (lambda p: np.savez(p, field_ppm=np.zeros(SIZE), chi_ppm=np.zeros(SIZE)), "all 0"),
        (other_map, "does not follow its map"),
        (lambda p: np.savez(p, field_ppm=np.array([{}]), chi_ppm=np.zeros(SIZE)), "field_ppm"),
    ],
)
def test_bad_records(tmp_path, damage, says):
    damage(folder(tmp_path) / "001.npz")
    found = open_records(tmp_path, 1.0, 0)
    assert found.count == 6
    assert len(found.notes) == 1
    assert found.notes[0].startswith("1 of 6 records left out and replaced")
    assert re.search(says, found.notes[0])
    topped_up = found.make(1)
    assert topped_up.chi_ppm.shape == SIZE
    assert np.isfinite(topped_up.chi_ppm).all()
    assert topped_up.chi_ppm.any()


def test_input_and_target_swapped(tmp_path):
    """The journal's first run: worse than untrained, and nobody knew why."""
    with pytest.raises(DataError, match="swapped in 6 of 6"):
        open_records(folder(tmp_path, swap=True), 1.0, 0)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="found none"):
        open_records(tmp_path, 1.0, 0)
    (tmp_path / "a.npz").write_bytes(b"x")
    with pytest.raises(DataError, match="none of 1 records"):
        open_records(tmp_path, 1.0, 0)
