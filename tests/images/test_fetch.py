"""Copying a set's files into the data folder."""

import os

import fsspec
import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.images import npz
from famulus.images.fetch import fetch
from famulus.images.open import open_images
from tests.images.idx_files import write_idx

PARTS = ("train", "t10k")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def idx_files(where):
    """A tiny mnist of 8 and 8 random pictures."""
    where.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part in PARTS:
        images = random.integers(0, 256, (8, 28, 28), dtype=np.uint8)
        write_idx(where / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(where / f"{part}-labels-idx1-ubyte.gz", np.arange(8, dtype=np.uint8))


def test_a_folder_is_copied_and_read(folder, tmp_path):
    idx_files(tmp_path / "there")
    lines = list(fetch("mnist", str(tmp_path / "there")))
    assert lines[-1] == "mnist: 8 training, 8 validation samples"
    assert len(open_images("mnist").train) == 8
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize("name", ["mine", "mine.npz"])
def test_one_file_gets_the_name_of_the_set(folder, tmp_path, name):
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "download-17.npz", images=images)
    lines = list(fetch(name, str(tmp_path / "download-17.npz")))
    assert [file.name for file in folder.iterdir()] == ["mine.npz"]
    assert lines[-1].startswith(f"{name}: ")
    assert len(open_images("mine").train) + len(open_images("mine").validation) == 90


def test_a_file_that_is_no_set_is_not_copied(folder, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"expected a folder, or a file \.zip"):
        list(fetch("mine", str(tmp_path / "x.tar.gz")))
    with pytest.raises(DataError, match="NAME: expected the name of a set"):
        list(fetch("../mine", str(tmp_path)))
    assert not folder.exists()


def test_pipes_are_not_copied_and_links_to_nothing_are_one_line(folder, tmp_path):
    idx_files(tmp_path / "there")
    os.mkfifo(tmp_path / "there/pipe.gz")
    lines = list(fetch("mnist", str(tmp_path / "there")))
    assert any("left out" in line and "pipe.gz" in line for line in lines)
    assert not list(folder.rglob("pipe*"))
    (tmp_path / "there/link.gz").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"link.gz: can't be copied"):
        list(fetch("mnist", str(tmp_path / "there")))
    assert not list(folder.rglob("*.partial"))


def test_what_is_missing_is_named(folder, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="nowhere"):
        list(fetch("mnist", str(tmp_path / "nowhere")))
    monkeypatch.delenv("FAMULUS_DATA")
    with pytest.raises(DataError, match="FAMULUS_DATA"):
        list(fetch("mnist", str(tmp_path)))


def test_nothing_lands_outside_the_folder(folder, monkeypatch):
    files = fsspec.filesystem("memory")
    files.pipe_file("/set/a.gz", b"x")
    monkeypatch.setattr(type(files), "find", lambda self, path: ["/set/../../evil.gz"])
    with pytest.raises(DataError, match="outside"):
        list(fetch("mnist", "memory://set"))
    assert not folder.exists()


def test_an_npz_is_read_by_its_known_keys_within_a_limit(tmp_path, monkeypatch):
    path = tmp_path / "set.npz"
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    labels = np.zeros(40, np.uint8)
    np.savez(path, images=images, labels=labels, huge=np.zeros(1 << 20, np.uint8))
    monkeypatch.setattr(npz, "MAX_BYTES", 1 << 20)
    assert len(open_images(str(path)).train) > 30  # `huge` is no key of ours
    monkeypatch.setattr(npz, "MAX_BYTES", images.nbytes)  # labels are too much
    with pytest.raises(DataError, match="expected at most"):
        open_images(str(path), size=9)
