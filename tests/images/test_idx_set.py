"""Folders and zips of IDX files under their usual names."""

import gzip
import os
import struct
import zipfile

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.images.idx import TYPES, read_idx
from famulus.images.idx_set import holds_idx, idx_parts, is_idx
from tests.images.idx_files import write_idx

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)
LABELS = (np.arange(40) % 3 + 1).astype(np.uint8)  # from 1, as EMNIST's letters
FORMS = {
    "dashes": "{}-{}-idx{}-ubyte",
    "dots": "{}-{}.idx{}-ubyte",
    "packed": "{}-{}-idx{}-ubyte.gz",
    "a set's name": "emnist-letters-{}-{}-idx{}-ubyte.gz",
    "upper case": "{}-{}-IDX{}-UBYTE",
    "below": "MNIST/raw/{}-{}-idx{}-ubyte",
}


def written(folder, form="{}-{}-idx{}-ubyte", roles=("train", "t10k")):
    """30 pictures to train on, 10 for the other role; names of the files."""
    names = []
    for role, rows in zip(roles, (slice(30), slice(30, 40)), strict=False):
        for what, array in (("images", IMAGES), ("labels", LABELS)):
            path = folder / form.format(role, what, array.ndim)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_idx(path, array[rows])
            names.append(path.relative_to(folder).as_posix())
    return names


def same(part, rows):
    assert np.array_equal(np.stack(list(part.items())), IMAGES[rows])
    assert [part.classes[i] for i in part.labels] == [str(n) for n in LABELS[rows]]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_test_files_validate_where_they_are_asked_for(tmp_path, form):
    names = written(tmp_path / "set", form)
    assert holds_idx(names)
    assert all(map(is_idx, names))
    train, validation, own, notes = idx_parts(tmp_path / "set", None, test=True)
    assert own
    assert not notes
    same(train, slice(30))
    same(validation, slice(30, 40))


def test_test_files_are_counted_and_left_alone(tmp_path):
    written(tmp_path / "set")
    train, validation, own, notes = idx_parts(tmp_path / "set", 0.3)
    assert not own
    assert len(train.labels) + len(validation.labels) == 30
    assert "10 pictures of test left alone" in notes[0]
    digest = validation.digest
    assert idx_parts(tmp_path / "set", 0.3)[1].digest == digest
    assert idx_parts(tmp_path / "set", 0.5)[1].digest != digest


def test_train_alone_and_a_validation_of_its_own(tmp_path):
    written(tmp_path / "a", roles=("train",))
    train, validation, own, notes = idx_parts(tmp_path / "a", 0.3)
    assert (own, notes) == (False, [])
    assert len(train.labels) + len(validation.labels) == 30
    written(tmp_path / "b", roles=("train", "val"))
    assert idx_parts(tmp_path / "b", None)[2]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("form", ["{}-{}-idx{}-ubyte", "x/{}-{}-idx{}-ubyte.gz"])
def test_a_zip(tmp_path, form, method):
    names = written(tmp_path / "set", form)
    with zipfile.ZipFile(tmp_path / "set.zip", "w", method) as archive:
        for name in names:
            archive.write(tmp_path / "set" / name, name)
            archive.writestr(f"__MACOSX/{name}", "x")
    train, validation, own, notes = idx_parts(tmp_path / "set.zip", None, test=True)
    assert (own, notes) == (True, [])
    same(train, slice(30))
    same(validation, slice(30, 40))


@pytest.mark.parametrize("code", TYPES)
def test_other_types_are_big_endian(tmp_path, code):
    """By hand, with `struct`: another program than the reader's."""
    letter = {8: "B", 9: "b", 11: "h", 12: "i", 13: "f", 14: "d"}[code]
    values = [1, 2, 100, 7, 5, 0]
    raw = bytes([0, 0, code, 2]) + struct.pack(">II6" + letter, 2, 3, *values)
    (tmp_path / "x.gz").write_bytes(gzip.compress(raw))
    array = read_idx(tmp_path / "x.gz")
    assert array.tolist() == [values[:3], values[3:]]
    assert array.dtype.isnative


def test_what_is_left_out_is_named(tmp_path):
    written(tmp_path / "set")
    write_idx(tmp_path / "set" / "train-images-idx3-ubyte.gz", IMAGES[:30])
    (tmp_path / "set" / "raw").mkdir()
    write_idx(tmp_path / "set" / "raw" / "train-labels-idx1-ubyte", LABELS[:30])
    (tmp_path / "set" / "mapping.txt").write_text("1 65")
    *_, notes = idx_parts(tmp_path / "set", None, test=True)
    assert len(notes) == 3
    assert "1 files left out: mapping.txt" in notes[0]
    assert "train-images-idx3-ubyte.gz left out" in notes[1]
    assert "raw/train-labels-idx1-ubyte left out" in notes[2]


def test_what_can_not_be_told_apart_is_refused(tmp_path):
    written(tmp_path / "set")
    write_idx(tmp_path / "set" / "train-labels.idx1-ubyte", LABELS[::-1][:30])
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte and train-labels\.idx1-ubyte"):
        idx_parts(tmp_path / "set", None)
    for name in ("letters", "digits"):
        written(tmp_path / "two", f"emnist-{name}-" + "{}-{}-idx{}-ubyte")
    with pytest.raises(DataError, match="received those of emnist-digits, emnist-letters"):
        idx_parts(tmp_path / "two", None)


def test_other_names_are_no_set():
    assert not holds_idx(["train-images-idx3-ubyte"])
    assert not holds_idx(["images/train-labels.png", "train/images/a.png", "a" * 65_000])
    assert not is_idx("idx3-ubyte")


def test_damage_is_named_with_its_member(tmp_path):
    names = written(tmp_path / "set", "{}-{}-idx{}-ubyte.gz")
    for name in names[:2]:
        path = tmp_path / "set" / name
        whole = path.read_bytes()
        for cut in (0, 5, 20, len(whole) - 9):
            path.write_bytes(whole[:cut])
            with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
                for other in names:
                    archive.write(tmp_path / "set" / other, other)
            for place in ("set", "set.zip"):
                with pytest.raises(DataError, match=f"{place}.*{name}"):
                    list(idx_parts(tmp_path / place, None, test=True)[0].items())
        path.write_bytes(whole)
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"set\.zip: cannot be read as a zip"):
        idx_parts(tmp_path / "set.zip", None)


def test_a_pipe_is_not_opened(tmp_path):
    written(tmp_path / "set")
    os.mkfifo(tmp_path / "set" / "train-images.idx3-ubyte")
    same(idx_parts(tmp_path / "set", None, test=True)[0], slice(30))
