"""`data.name` as a path: what kind of set lies there."""

import io
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from famulus.config.errors import DataError
from famulus.images.datasets import find
from tests.images.idx_files import write_idx
from tests.images.picture_files import several, write

IMAGES = np.random.default_rng(0).integers(0, 256, (90, 8, 8), dtype=np.uint8)
LABELS = (np.arange(90) % 3).astype(np.uint8)


def idx(top):
    top.mkdir(parents=True)
    for role, piece in (("train", slice(0, 60)), ("t10k", slice(60, 90))):
        write_idx(top / f"{role}-images-idx3-ubyte.gz", IMAGES[piece])
        write_idx(top / f"{role}-labels-idx1-ubyte.gz", LABELS[piece])
    return top


def zipped(top):
    idx(top / "idx")
    with zipfile.ZipFile(top / "idx.zip", "w") as archive:
        for file in (top / "idx").iterdir():
            archive.write(file, file.name)
    return top / "idx.zip"


def npz(top):
    np.savez(top / "a.npz", images=IMAGES, labels=LABELS)
    return top / "a.npz"


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def parquet(top):
    rows = [{"bytes": png(pixels), "path": f"{i}.png"} for i, pixels in enumerate(IMAGES)]
    table = pyarrow.table({"image": rows, "label": LABELS.tolist()})
    (top / "data").mkdir()
    pyarrow.parquet.write_table(table, top / "data/train-00000-of-00001.parquet")
    return top / "data/train-00000-of-00001.parquet"


def parquet_folder(top):
    parquet(top)
    write(top, ["logo.png"])
    return top


def table(top):
    write(top, {f"{i}.png": png(pixels) for i, pixels in enumerate(IMAGES)})
    rows = "\n".join(f"{i}.png,{LABELS[i]}" for i in range(90))
    (top / "t.csv").write_text(f"path,label\n{rows}")
    return top / "t.csv"


def folder(top):
    return write(top, {f"{LABELS[i]}/{i}.png": png(pixels) for i, pixels in enumerate(IMAGES)})


SETS = {
    "IDX": lambda top: idx(top / "x"), "zip of IDX": zipped, "npz": npz, "parquet": parquet,
    "folder of parquet": parquet_folder, "table": table, "folder": folder,
}  # fmt: skip


@pytest.mark.parametrize("kind", SETS)
def test_each_kind_gives_its_pictures_with_their_labels(tmp_path, kind):
    found = find(str(SETS[kind](tmp_path)))
    known = {image.tobytes(): int(label) for image, label in zip(IMAGES, LABELS, strict=True)}
    count = 0
    for part in (found.train, found.validation):
        for item, label in zip(part.items(), part.labels, strict=True):
            assert known[getattr(item, "pixels", item).tobytes()] == int(part.classes[label])
            count += 1
    assert count == (60 if "IDX" in kind else 90)  # a test split is left alone
    told = " ".join(found.notes)
    assert ("30 " in told) == ("IDX" in kind)
    assert (".png" in told) == (kind == "folder of parquet")


@pytest.mark.parametrize("kind", ["IDX", "zip of IDX"])
def test_the_test_split_of_arrays_may_validate(tmp_path, kind):
    found = find(str(SETS[kind](tmp_path)), "test")
    assert (len(found.train.names), len(found.validation.names)) == (60, 30)


@pytest.mark.parametrize("kind", ["npz", "parquet", "table", "folder"])
def test_without_one_it_is_refused(tmp_path, kind):
    with pytest.raises(DataError, match="test"):
        find(str(SETS[kind](tmp_path)), "test")


def test_pictures_with_a_table_of_metadata_are_pictures(tmp_path):
    write(tmp_path, [*several("train/a", 3), *several("val/a", 2)])
    pyarrow.parquet.write_table(
        pyarrow.table({"file_name": ["a.png"]}), tmp_path / "metadata.parquet"
    )
    (tmp_path / "metadata.csv").write_text("file_name,text\n")
    found = find(str(tmp_path))
    assert len(found.train.names) == 3
    assert found.notes == [f"{tmp_path.stem}: left out 2 files: .csv (1), .parquet (1)"]


def test_an_array_without_a_name_says_what_to_do(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    with pytest.raises(DataError, match=r"numpy\.savez"):
        find(str(tmp_path / "a.npy"))
