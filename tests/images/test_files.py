"""Folders and zips that are damaged or hostile: left out and named, never a crash."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from famulus.config.errors import DataError
from famulus.feed.data_folder import data_folder
from famulus.images import files, splits
from famulus.images.open import open_images


def png(seed, shape=(8, 8, 3)):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pack(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return str(path)


GOOD = {f"train/{i}.png": png(i) for i in range(5)} | {f"valid/{i}.png": png(9 + i) for i in (0, 1)}


def test_a_zip_is_as_its_folder(tmp_path):
    packed = open_images(pack(tmp_path / "x.zip", GOOD))
    for name, raw in GOOD.items():
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_bytes(raw)
    plain = open_images(str(tmp_path / "x"))
    assert np.array_equal(packed.train.images, plain.train.images)
    assert packed.train.names == plain.train.names
    assert packed.train.labels is None
    assert packed.notes == plain.notes == []


def test_damaged_pictures_are_left_out_and_named(tmp_path):
    whole = png(3)
    bad = {
        "train/cut.png": whole[:-60],
        "train/empty.png": b"",
        "train/text.jpg": b"not a picture",
        "train/.hidden.png": whole,
        "__MACOSX/train/x.png": whole,
        "train/readme.txt": b"text",
    }
    result = open_images(pack(tmp_path / "x.zip", GOOD | bad))
    assert len(result.train) == 5
    assert result.notes[0] == "x: left out 1 file: .txt (1)"
    assert len(result.notes) == 4
    for name in ("train/cut.png", "train/empty.png", "train/text.jpg"):
        assert sum(f"left out {name}: " in note for note in result.notes) == 1
    assert result.train.names == [name for name in GOOD if "train" in name]


def test_a_zip_bomb_is_left_out(tmp_path):
    bomb = Image.new("L", (1800, 1800))
    file = io.BytesIO()
    bomb.save(file, "BMP")
    members = GOOD | {"train/bomb.bmp": file.getvalue()}
    deflated = open_images(pack(tmp_path / "x.zip", members, zipfile.ZIP_DEFLATED), size=8)
    assert len(deflated.train) == 5
    assert "train/bomb.bmp: unpacks to" in deflated.notes[0]
    stored = open_images(pack(tmp_path / "y.zip", members), size=8)  # the same, not a bomb
    assert len(stored.train) == 6


def test_a_large_file_is_left_out(tmp_path, monkeypatch):
    path = pack(tmp_path / "x.zip", GOOD | {"train/large.png": png(0, (64, 64, 3))})
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1000)
    assert "train/large.png: " in open_images(path, size=8).notes[0]


def test_a_flipped_byte_in_a_zip_is_noticed(tmp_path):
    path = tmp_path / "x.zip"
    pack(path, GOOD)
    raw = bytearray(path.read_bytes())
    raw[raw.find(b"IDAT") + 20] ^= 255
    path.write_bytes(raw)
    result = open_images(str(path))
    assert len(result.train) == 4
    assert "train/0.png: Bad CRC-32" in result.notes[0]


def test_many_files_with_one_reason_take_one_line(tmp_path):
    bad = {f"train/bad{i}.png": b"" for i in range(50)}
    notes = open_images(pack(tmp_path / "x.zip", GOOD | bad)).notes
    assert len(notes) == 1
    assert "left out 50 files" in notes[0]


def test_what_was_resized_is_counted_by_its_stored_size(tmp_path):
    shapes = [(8, 8, 3)] * 3 + [(16, 12, 3)] * 4 + [(5, 5, 3)] * 4 + [(6, 4, 3)]
    sized = {f"train/{i:02d}.png": png(i, shape) for i, shape in enumerate(shapes)}
    sized |= {"train/cut.png": b"", "valid/0.png": png(20)}
    path = pack(tmp_path / "x.zip", sized)
    told = "x/train: 9 of 12 resized, nearest; stored as width x height 5x5 (4), 12x16 (4), 4x6 (1)"
    for resident in (1 << 30, 1):  # decoded at once, or file by file
        found = open_images(path, 8, "nearest", 3, resident_bytes=resident)
        assert [note for note in found.notes if "resized" in note] == [told]
        assert found.train.resized
        assert not found.validation.resized


def test_of_many_stored_sizes_five_are_named(tmp_path):
    sized = {f"train/{n}.png": png(n, (n, n)) for n in range(9, 17)} | {"valid/0.png": png(0)}
    (note,) = open_images(pack(tmp_path / "x.zip", sized), 8).notes
    assert note.endswith("9x9 (1), 10x10 (1), 11x11 (1), 12x12 (1), 13x13 (1) and 3 other sizes")


def test_nothing_readable_and_nothing_there(tmp_path):
    empty = pack(tmp_path / "x.zip", {"train/a.png": b"", "val/b.png": png(0)})
    with pytest.raises(DataError, match=r"at least 1 readable picture, received 0: .*train/a\.png"):
        len(open_images(empty).train)
    with pytest.raises(DataError, match="expected pictures"):
        open_images(pack(tmp_path / "y.zip", {"a.txt": b""}))
    with pytest.raises(DataError, match="too few pictures to split"):
        open_images(pack(tmp_path / "z.zip", {"a.png": png(0)}))
    (tmp_path / "w.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="cannot be read as a zip"):
        open_images(str(tmp_path / "w.zip"))


def test_the_hashed_split_is_stable_and_of_the_right_size():
    names = [f"{i}.png" for i in range(20000)]
    out = splits.held_out(names, 0.05)
    assert abs(out.mean() - 0.05) < 0.006  # four standard deviations
    assert (splits.held_out(names[::2], 0.05) == out[::2]).all()
    assert not (splits.held_out(names, 0.02) & ~out).any()


def test_classes_of_a_set_packed_in_one_more_folder(tmp_path):
    names = [f"set/{c}/{i}.png" for c in ("ant", "bee") for i in range(40)]
    result = open_images(pack(tmp_path / "x.zip", {n: png(i) for i, n in enumerate(names)}))
    assert result.train.classes == ("ant", "bee")
    assert len(result.train) + len(result.validation) == 80
    half = open_images(str(tmp_path / "x.zip"), validation=0.5)
    assert 25 <= len(half.validation) <= 55


def test_unused_folders_are_mentioned(tmp_path):
    result = open_images(pack(tmp_path / "x.zip", GOOD | {"test/a.png": png(0)}))
    assert result.notes == ["x: 1 pictures outside train and validation unused: test"]


def test_where_data_lie(monkeypatch, tmp_path):
    monkeypatch.delenv("FAMULUS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "famulus" / "data"
    monkeypatch.setenv("FAMULUS_DATA", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    pack(tmp_path / "mine" / "birds.zip", GOOD)
    assert len(open_images("birds").train) == 5
