"""The catalogue, and `.npz` sets: a round trip through `convert`, and files that are refused."""

import io
import zipfile

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.images import catalog
from famulus.images.cache import ByteCache
from famulus.images.open import open_images

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)


def test_the_list_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_DATA", str(tmp_path))
    rows = {row["name"]: row for row in catalog.sets()}
    assert rows["digits"]["present"]
    assert "scanned digits" in rows["digits"]["summary"]
    assert not rows["mnist"]["present"]
    assert str(tmp_path) in rows["mnist"]["missing"]


def test_info():
    row = catalog.info("digits", channels=1)
    assert (row["train"], row["validation"], row["shape"]) == (1437, 360, (1, 8, 8))
    assert sum(row["train_classes"].values()) == 1437
    assert row["notes"] == []


@pytest.mark.parametrize("channels", [1, 3])
def test_convert_round_trip(tmp_path, channels):
    out = tmp_path / "digits.npz"
    row = catalog.convert("digits", out, channels=channels)
    before, after = open_images("digits", channels=channels), open_images(str(out))
    for role in ("train", "validation"):
        a, b = getattr(before, role), getattr(after, role)
        assert np.array_equal(a.images, b.images)
        assert a.labels.tolist() == b.labels.tolist()
    assert after.train.classes == before.train.classes
    assert row["train"] == 1437
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npz"]
    with pytest.raises(DataError, match=r"a new \.npz"):
        catalog.convert("digits", out)


def test_images_alone_are_split_by_a_hash(tmp_path):
    np.savez(tmp_path / "x.npz", images=IMAGES, labels=np.arange(40) % 3)
    splits = open_images(str(tmp_path / "x.npz"), validation=0.3)
    both = np.concatenate([splits.train.images, splits.validation.images])[:, 0]
    assert sorted(map(bytes, both)) == sorted(map(bytes, IMAGES))
    assert splits.train.classes == ("0", "1", "2")
    assert 4 <= len(splits.validation) <= 20


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": IMAGES}, "expected train_images and validation_images, or images; received"),
        ({"images": IMAGES[0]}, "expected rows of a square picture, received rows of 5"),
        ({"images": IMAGES, "labels": np.arange(3)}, "40 images, but 3 labels"),
        ({"images": IMAGES, "labels": np.full(40, -1)}, "integer labels"),
        ({"images": IMAGES, "labels": np.full(40, 0.5)}, "integer labels"),
        ({"images": np.array([{}, []], object)}, "Python objects"),
    ],
)
def test_npz_files_that_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=message):
        open_images(str(tmp_path / "x.npz"))


def test_an_npz_whose_header_lies_allocates_nothing(tmp_path):
    header = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(header, fields)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue() + b"abc")
    with pytest.raises(DataError, match="is not what it holds"):
        open_images(str(tmp_path / "x.npz"))
    (tmp_path / "y.npz").write_bytes(b"PK no")
    with pytest.raises(DataError, match="cannot be read as npz"):
        open_images(str(tmp_path / "y.npz"))


def test_the_cache_forgets_the_longest_unused():
    cache = ByteCache(10)
    cache.put("a", 1, 4)
    cache.put("b", 2, 4)
    assert cache.get("a") == 1
    cache.put("c", 3, 4)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    cache.put("huge", 4, 11)
    assert cache.get("huge") is None
    cache.put("a", 5, 10)
    assert (cache.get("a"), cache.get("c"), cache.used) == (5, None, 10)
