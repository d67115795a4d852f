"""Arrays as people store them, judged against the arrays that were written."""

import hashlib
import io
import re
import tracemalloc
import zipfile

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.feed.data_folder import file_digest
from famulus.images import stored
from famulus.images.npz import npz_parts, refuse_npy
from famulus.images.splits import held_out

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)
RGB = RNG.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(40) % 3


def opened(folder, share=None, test=False, **arrays):
    np.savez(folder / "x.npz", **arrays)
    return npz_parts(folder / "x.npz", share, test)


def pixels(*parts):
    """The pictures of all `parts`, sorted: a hash says which part has which."""
    return sorted(np.asarray(item).tobytes() for part in parts for item in part.items())


def same(items, array):
    return np.array_equal(np.stack(list(items)), array)


KEYS = {
    "own": ("train_images", "train_labels", "validation_images", "validation_labels"),
    "x_val": ("x_train", "y_train", "x_val", "y_val"),
    "x_valid": ("X_train", "Y_train", "x_valid", "y_valid"),
    "behind": ("train_x", "train_y", "dev_x", "dev_y"),
    "medmnist": ("train_images", "train_labels", "val_images", "val_labels"),
    "data": ("TrainData", "TrainTargets", "Validation-Data", "Validation-Target"),
}


@pytest.mark.parametrize("case", KEYS)
def test_splits_under_their_usual_names(tmp_path, case):
    arrays = (GREY[:30], LABELS[:30], GREY[30:], LABELS[30:])
    train, validation, own, notes = opened(tmp_path, **dict(zip(KEYS[case], arrays, strict=True)))
    assert own
    assert not notes
    assert same(train.items(), GREY[:30])
    assert same(validation.items(), GREY[30:])
    assert train.labels.tolist() == LABELS[:30].tolist()
    assert validation.labels.tolist() == LABELS[30:].tolist()
    assert train.names[12] == "train/00012"


@pytest.mark.parametrize(
    ("image", "label"), [("X", "y"), ("data", "target"), ("images", "labels"), ("Data", "TARGETS")]
)
def test_one_array_is_split_by_a_hash(tmp_path, image, label):
    train, validation, own, _ = opened(tmp_path, 0.3, **{image: GREY, label: LABELS})
    out = held_out([str(i) for i in range(40)], 0.3)
    assert not own
    assert same(train.items(), GREY[~out])
    assert same(validation.items(), GREY[out])
    assert validation.labels.tolist() == LABELS[out].tolist()


def test_a_test_split_is_never_trained_on(tmp_path):
    arrays = {"x_train": GREY[:30], "y_train": LABELS[:30], "x_test": GREY[30:]}
    train, validation, own, notes = opened(tmp_path, 0.3, **arrays)
    assert not own
    assert pixels(train, validation) == pixels_of(GREY[:30])
    assert len(notes) == 1
    assert "10 pictures of test left alone" in notes[0]
    assert "data.validation: test" in notes[0]


def pixels_of(array):
    return sorted(picture.tobytes() for picture in array)


def test_a_test_split_validates_where_it_is_asked_for(tmp_path):
    arrays = {"x_train": GREY[:20], "x_val": GREY[20:30], "x_test": GREY[30:]}
    digests = set()
    for test, expected in ((False, GREY[20:30]), (True, GREY[30:])):
        train, validation, own, notes = opened(tmp_path, test=test, **arrays)
        assert own
        assert same(train.items(), GREY[:20])
        assert same(validation.items(), expected)
        assert f"10 pictures of {'validation' if test else 'test'} left" in notes[0]
        digests.add(validation.digest)
    assert len(digests) == 2  # ten pictures each, and not the same ten
    with pytest.raises(DataError, match="expected a test split, received train, validation"):
        opened(tmp_path, test=True, x_train=GREY, x_val=GREY)


def test_a_digest_is_what_it_was(tmp_path):
    """Runs are named by it: of the file's bytes, the part and its count."""
    train, _, _, _ = opened(tmp_path, train_images=GREY[:30], validation_images=GREY[30:])
    whole = file_digest(tmp_path / "x.npz")
    assert train.digest == hashlib.sha256(f"{whole}/train/30".encode()).hexdigest()


LAYOUTS = {
    "BHW1": (GREY[..., None], GREY),
    "B1HW": (GREY[:, None], GREY),
    "BHW3": (RGB, RGB),
    "B3HW": (RGB.transpose(0, 3, 1, 2), RGB),
    "fortran": (np.asfortranarray(RGB), RGB),
    "rows": (RNG.integers(0, 256, (40, 36), dtype=np.uint8), None),
    "4 high": (RGB[:, :4], RGB[:, :4]),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts(tmp_path, case):
    array, expected = LAYOUTS[case]
    train, validation, _, notes = opened(tmp_path, x_train=array[:30], x_val=array[30:])
    expected = array.reshape(40, 6, 6) if expected is None else expected
    assert same(train.items(), expected[:30])
    assert same(validation.items(), expected[30:])
    assert [("taken as 6x6" in note) for note in notes] == [True] * (2 * (case == "rows"))


def test_transparency_lies_on_black(tmp_path):
    rgba = RNG.integers(0, 256, (40, 6, 5, 4), dtype=np.uint8)
    exact = rgba[..., :3] * (rgba[..., 3:] / 255)
    for array in (rgba, rgba.transpose(0, 3, 1, 2)):
        train, _, _, notes = opened(tmp_path, x_train=array, x_val=array)
        assert np.abs(np.stack(list(train.items())) - exact).max() <= 0.5 + 1e-9
        assert "RGBA laid on black" in notes[0]


WHOLE = GREY.astype(np.int64)
DELIVERED = [np.dtype(t) for t in ("u1", "u2", "i2", "i4", "u4", "f4")]
TYPES = {
    "bool": (GREY > 99, (GREY > 99) * np.uint8(255), "True as 255"),
    "int64 bytes": (WHOLE, GREY, "int64 of whole numbers .* taken as bytes"),
    "int32 bytes": (WHOLE.astype(np.int32), GREY, "taken as bytes"),
    "float64 bytes": (GREY.astype(float), GREY, "taken as bytes"),
    "float32 bytes": (GREY.astype(np.float32), GREY, "taken as bytes"),
    "0..16": (WHOLE // 16, (WHOLE // 16).astype(np.int32), None),
    "CT": (WHOLE * 16 - 1000, (WHOLE * 16 - 1000).astype(np.int32), None),
    "int16": ((WHOLE * 16 - 1000).astype(np.int16),) * 2 + (None,),
    "int8": ((WHOLE - 128).astype(np.int8), (WHOLE - 128).astype(np.int16), None),
    "uint16": (GREY.astype(np.uint16),) * 2 + (None,),
    "big end": (WHOLE.astype(">u2") * 9, (WHOLE * 9).astype(np.uint16), None),
    "uint32": (WHOLE * 16_000_000, (WHOLE * 16_000_000).astype(np.uint32), None),
    "0..16 as float": (GREY // 16 * 1.0, (GREY // 16).astype(np.float32), None),
    "unit": (GREY / 255, (GREY / 255).astype(np.float32), "float64 held as float32"),
    "half": ((GREY / 255).astype(np.float16), (GREY / 255).astype(np.float16), None),
}


@pytest.mark.parametrize("case", TYPES)
def test_values_come_as_they_were_stored(tmp_path, case):
    array, expected, note = TYPES[case]
    train, validation, _, notes = opened(tmp_path, x_train=array[:30], x_val=array[30:])
    items = np.stack([*train.items(), *validation.items()])
    assert np.array_equal(items, expected)
    assert items.dtype in (expected.dtype, np.float32)
    assert items.dtype.isnative
    assert items.dtype in DELIVERED
    assert (note is None) == (not notes)
    assert note is None or re.search(note, notes[0])
    assert not any(str(tmp_path) in line for line in notes)


def test_one_type_serves_both_parts(tmp_path):
    """Validation beyond a byte: training must not be divided by another number."""
    train, validation, _, _ = opened(tmp_path, x_train=WHOLE[:30], x_val=WHOLE[30:] * 2)
    assert same(train.items(), WHOLE[:30])
    assert next(train.items()).dtype == next(validation.items()).dtype == np.int32


def spoiled(value):
    array = GREY / 255
    array[[7, 9], 2, 1] = value
    return array


REFUSED = {
    "both layouts": ({"X": np.zeros((40, 3, 9, 3), np.uint8)}, r"\(40, 3, 9, 3\) fits both BHWC"),
    "channels": ({"X": np.zeros((40, 9, 9, 2), np.uint8)}, r"1, 3 or 4 channels.*\(40, 9, 9, 2\)"),
    "volumes": ({"X": np.zeros((40, 9, 9, 9, 1), np.uint8)}, "task scroll"),
    "rows": ({"X": np.zeros((40, 3072), np.uint8)}, "rows of 3072: reshape"),
    "0-d": ({"X": np.uint8(3)}, r"X.npy: expected an array .* shape \(\)"),
    "0-d labels": ({"X": GREY, "y": np.int64(3)}, "y.npy: expected an array"),
    "empty": ({"X": GREY[:0]}, "at least one"),
    "structured": ({"X": np.zeros(40, [("a", "u1")])}, "X.npy: expected numbers or texts"),
    "complex": ({"X": GREY + 1j}, "expected numbers or texts"),
    "texts": ({"X": GREY.astype(str)}, "expected images of numbers"),
    "NaN": ({"X": spoiled(np.nan)}, "2 of 40 pictures hold NaN or infinity, the first is number 7"),
    "infinity": ({"X": spoiled(np.inf)}, "2 of 40 pictures hold NaN"),
    "64 bit": ({"X": WHOLE << 40}, "fit in 32 bits"),
    "negative 64 bit": ({"X": WHOLE * 16_000_000 - 1}, "fit in 32 bits"),
    "beyond float32": ({"X": GREY * 1e300}, "fit in float32"),
    "deep RGBA": ({"X": np.ones((40, 9, 9, 4), np.uint16)}, "expected RGBA as bytes"),
    "two types": ({"x_train": GREY, "x_val": GREY / 255}, "expected uint8 as in .*x_train"),
    "two candidates": ({"train_images": GREY, "x_train": GREY}, "train_images.npy and x_train.npy"),
    "two wholes": ({"images": GREY, "data": GREY}, "images.npy and data.npy"),
    "whole and train": ({"images": GREY, "x_train": GREY}, "x_train.npy and images.npy"),
    "test alone": ({"x_test": GREY}, "expected train_images .* received x_test"),
    "regression": ({"X": GREY, "y": LABELS + 0.5}, "integer labels, received 0.5 .* regression"),
    "several labels": ({"X": GREY, "y": np.ones((40, 3), int)}, "expected one label a picture"),
    "two names": ({"X": GREY, "y": LABELS, "classes": ["a", "b", "a"]}, "one name a class"),
    "few": ({"X": GREY[:2]}, "too few pictures to split: 2 to train, 0 to validate"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_one_line_with_the_path(tmp_path, case):
    arrays, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as error:
        opened(tmp_path, **arrays)
    assert "x.npz" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_read_is_named(tmp_path):
    *_, notes = opened(tmp_path, images=GREY, meta=np.zeros(3), more=np.array([{}]), y_test=LABELS)
    assert any(note == "x: left out: meta, more" for note in notes)
    assert any("y_test.npy: left out: labels without images" in note for note in notes)
    *_, notes = opened(tmp_path, x_train=GREY, x_val=GREY, y_train=LABELS, images=GREY)
    assert any("images.npy: left out" in note for note in notes)
    assert any("labels of train alone are not used" in note for note in notes)
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("readme.txt", "x")
    *_, notes = npz_parts(tmp_path / "x.npz", None)
    assert any("readme.txt" in note for note in notes)


def npy(fields):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue()


def fields(shape, descr="|u1"):
    return {"descr": descr, "fortran_order": False, "shape": shape}


DAMAGED = {
    "short": (npy(fields((40, 6, 5))) + b"abc", "is not what it holds"),
    "huge": (npy(fields((1 << 70, 6, 5))) + b"abc", "is not what it holds"),
    "negative": (npy(fields((-4, 6, 5))) + b"abc", r"shape \(-4, 6, 5\)"),
    "no array": (b"abc", "cannot be read as an array"),
    "text": (npy(fields((4, 6, 5))).replace(b"'|u1'", b"'|?Z'"), "cannot be read as an array"),
    "deep": (npy(fields((4, 6, 5))).replace(b"(4,", b"((((((("), "cannot be read as an array"),
    "version": (b"\x93NUMPY\x09\x00" + bytes(99), "cannot be read as an array"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_member_is_named(tmp_path, case):
    raw, message = DAMAGED[case]
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", raw)
    with pytest.raises(DataError, match=message) as error:
        npz_parts(tmp_path / "x.npz", None)
    assert "x.npz: images.npy: " in str(error.value)


def test_damaged_values_are_named_where_they_are_read(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.repeat(GREY, 20, 0))
    raw = bytearray((tmp_path / "x.npz").read_bytes())
    place = raw.find(GREY[30].tobytes())
    raw[place] ^= 1  # stored, not packed: only the checksum tells
    (tmp_path / "x.npz").write_bytes(raw)
    train, *_ = npz_parts(tmp_path / "x.npz", None)
    with pytest.raises(DataError, match=r"x\.npz: images\.npy: cannot be read \(Bad CRC"):
        list(train.items())


def test_every_truncation_is_one_line(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=GREY, labels=LABELS)
    raw = (tmp_path / "x.npz").read_bytes()
    for cut in range(0, len(raw), 97):
        (tmp_path / "y.npz").write_bytes(raw[:cut])
        with pytest.raises(DataError, match=r"y\.npz"):
            npz_parts(tmp_path / "y.npz", None)


def test_zeros_made_to_fill_the_memory_are_refused(tmp_path, monkeypatch):
    zeros = np.zeros((1000, 64, 64), np.uint8)
    np.savez_compressed(tmp_path / "x.npz", images=zeros)
    monkeypatch.setattr(stored, "FREE_BYTES", zeros.nbytes // 2)
    with pytest.raises(DataError, match=r"images\.npy: .* packed .*-fold: expected at most 200"):
        npz_parts(tmp_path / "x.npz", None)
    opened(tmp_path, images=zeros)  # as large, and not packed


def test_labels_are_small(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "MAX_LABEL_BYTES", 100)
    with pytest.raises(DataError, match=r"y\.npy: 320 bytes of int64 \(40,\): expected labels"):
        opened(tmp_path, X=GREY, y=LABELS)


def test_memory_holds_one_block(tmp_path, monkeypatch):
    array = np.repeat(GREY[:1], 40_000, 0).astype(np.float64)  # 9.6 MB
    np.savez(tmp_path / "x.npz", images=array)
    monkeypatch.setattr(stored, "BLOCK_BYTES", 1 << 17)
    tracemalloc.start()
    for part in npz_parts(tmp_path / "x.npz", None)[:2]:
        for _ in part.items():
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Names are 40,000 texts; the array itself would be 9.6 MB more.
    assert peak < 8e6


def test_a_single_array_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"numpy\.savez\('scan\.npz', images=array\).*scroll"):
        refuse_npy(tmp_path / "scan.npy")


def test_only_regular_files_are_opened(tmp_path):
    with pytest.raises(DataError, match="expected a file"):
        npz_parts(tmp_path, None)
