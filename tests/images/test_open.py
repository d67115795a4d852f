"""`open_images` on the embedded digits and on sets made here: bytes, labels, splits, identity."""

from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import Feeder, validation_batches
from famulus.feed.source import Source, Splits
from famulus.images.files import FilePart
from famulus.images.image_source import box_mask
from famulus.images.open import FileSource, ImageSource, open_images
from tests.images.idx_files import write_idx

RNG = np.random.default_rng(0)


def fill(folder, shape=(12, 20, 3), counts=None, seed=0):
    """Write train and validation folders of PNGs with two classes; return pixels by name."""
    rng, pixels = np.random.default_rng(seed), {}
    counts = counts or {"train/cat": 6, "train/dog": 4, "validation/cat": 2, "validation/dog": 3}
    for place, count in counts.items():
        (folder / place).mkdir(parents=True)
        for i in range(count):
            name = f"{place}/{i}.png"
            pixels[name] = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels[name]).save(folder / name)
    return pixels


def batch(source, **options):
    (whole,) = validation_batches(source, len(source), "cpu", **options)
    return whole


def test_digits_are_scikit_learns():
    splits = open_images("digits", channels=1)
    assert isinstance(splits, Splits)
    assert isinstance(splits.train, Source)
    bunch = load_digits()
    sides = splits.train, splits.validation
    images = torch.cat([batch(side)["image"] for side in sides]).numpy()
    assert np.abs(images[:, 0] - bunch.images / 16).max() <= 0.5 / 255 + 1e-6
    assert torch.cat([batch(side)["label"] for side in sides]).tolist() == bunch.target.tolist()
    assert (len(splits.train), len(splits.validation)) == (1437, 360)
    assert (splits.resized, splits.notes) == (False, [])


def test_mnist_files(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    made = {}
    for stem, n in (("train", 30), ("t10k", 12)):
        made[stem] = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        write_idx(tmp_path / f"mnist/{stem}-images-idx3-ubyte.gz", made[stem])
        write_idx(tmp_path / f"mnist/{stem}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8) % 10)
    splits = open_images("mnist")
    assert np.array_equal(splits.train.images[:, 0], made["train"])
    whole = batch(splits.validation)
    assert torch.equal((whole["image"] * 255).round().byte()[:, 0], torch.tensor(made["t10k"]))
    assert whole["label"].tolist() == [i % 10 for i in range(12)]
    assert whole["image"].dtype == torch.float32
    write_idx(tmp_path / "mnist/t10k-labels-idx1-ubyte", np.zeros(11, np.uint8))
    with pytest.raises(DataError, match="12 pictures, but 11 labels"):
        len(open_images("mnist").validation)


def test_a_missing_set_names_the_path_and_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_DATA", str(tmp_path))
    for name, rest in (("mnist", "mnist/train-images-idx3-ubyte.gz"), ("clothing", "clothing.zip")):
        with pytest.raises(DataError, match="FAMULUS_DATA") as caught:
            open_images(name)
        assert str(tmp_path / rest) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_unknown_names():
    with pytest.raises(ConfigError, match="did you mean 'digits'"):
        open_images("digit")
    with pytest.raises(DataError, match="does not exist"):
        open_images("/nowhere/at-all")


def test_a_folder_with_its_own_split(tmp_path):
    pixels = fill(tmp_path)
    splits = open_images(str(tmp_path))
    assert splits.train.names == [name for name in sorted(pixels) if name.startswith("train")]
    for side in (splits.train, splits.validation):
        for name, image, label in zip(side.names, side.images, side.labels, strict=True):
            assert np.array_equal(image, pixels[name].transpose(2, 0, 1))
            assert side.classes[label] == name.split("/")[1]


def test_letterbox_gives_a_mask(tmp_path):
    fill(tmp_path, (10, 20, 3))
    got = batch(open_images(str(tmp_path), size=16, fit="letterbox").train)
    expected = torch.zeros(16, 16)
    expected[4:12] = 1
    assert torch.equal(got["mask"], expected.expand(10, 1, 16, 16))
    assert got["image"][got["mask"].expand(-1, 3, -1, -1) == 0].abs().max() == 0
    assert "mask" not in batch(open_images(str(tmp_path), size=16).train)
    assert "box" not in got


def test_box_mask_by_hand():
    boxes = torch.tensor([[0, 0, 2, 3], [1, 2, 1, 1]])
    expected = [[[1, 1, 1], [1, 1, 1]], [[0, 0, 0], [0, 0, 1]]]
    assert box_mask(boxes, 2, 3)[:, 0].tolist() == expected


def test_a_subset_is_of_the_training_part_only():
    whole, small = open_images("digits"), open_images("digits", subset=["3", "8"])
    assert set(small.train.labels.tolist()) == {3, 8}
    assert len(small.validation) == len(whole.validation)
    assert small.validation.fingerprint == whole.validation.fingerprint
    assert len(open_images("digits", subset=50).train) == 50
    assert len(open_images("digits", validation=20).validation) == 20
    with pytest.raises(ConfigError, match="0, 1, 2"):
        len(open_images("digits", subset=["three"]).train)


def test_the_fingerprint_follows_bytes_and_recipe(tmp_path):
    pixels = fill(tmp_path)
    name = str(tmp_path)
    changes = [{}, {"size": 8}, {"size": 8, "filter": "nearest"}, {"channels": 1}, {"subset": 5}]
    changes += [{"subset": 5, "seed": 1}, {"size": 8, "fit": "crop"}]
    prints = [open_images(name, **change).fingerprint for change in changes]
    assert len(set(prints)) == len(prints)
    assert open_images(name, seed=1).fingerprint == prints[0]  # nothing was drawn
    splits = open_images(name)
    assert splits.fingerprint == prints[0]
    assert "Splits" in repr(splits)
    assert "decoded" not in vars(splits.train)
    file = tmp_path / next(iter(pixels))
    Image.fromarray(255 - pixels[next(iter(pixels))]).save(file)
    assert open_images(name).fingerprint != prints[0]


def test_pictures_of_different_shape_need_a_size(tmp_path):
    fill(tmp_path)
    Image.new("RGB", (5, 5)).save(tmp_path / "train/cat/9.png")
    with pytest.raises(DataError, match=r"different shape.*name data\.size"):
        len(open_images(str(tmp_path)).train)
    assert len(open_images(str(tmp_path), size=8).train) == 11


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
def test_from_files_as_from_memory(tmp_path, fit, workers):
    fill(tmp_path)
    how = {"size": (9, 11), "fit": fit, "subset": 0.8}
    memory = open_images(str(tmp_path), **how)
    files = open_images(str(tmp_path), **how, resident_bytes=10)
    assert isinstance(memory.train, ImageSource)
    assert isinstance(files.train, FileSource)
    assert files.train.slow
    assert files.fingerprint != ""
    with (
        Feeder(memory.train, 5, 0, "cpu") as a,
        Feeder(files.train, 5, 0, "cpu", workers=workers) as b,
    ):
        for _ in range(4):
            left, right = next(a), next(b)
            assert left.keys() == right.keys()
            assert all(torch.equal(left[key], right[key]) for key in left)
    assert (files.resized, files.train.names) == (True, memory.train.names)


def test_a_damaged_file_in_a_thread_is_named(tmp_path):
    fill(tmp_path)
    whole = (tmp_path / "train/dog/1.png").read_bytes()
    (tmp_path / "train/dog/1.png").write_bytes(whole[: len(whole) // 2])
    source = open_images(str(tmp_path), size=8, resident_bytes=10).train
    with (
        Feeder(source, 2, 0, "cpu", workers=2) as feeder,
        pytest.raises(DataError, match=r"train/dog/1\.png: .*mend or remove it"),
    ):
        list(islice(feeder, 20))


def test_decoding_happens_once_a_process(tmp_path, monkeypatch):
    fill(tmp_path, seed=77)  # as no other test, which would have decoded it already
    calls = []
    plain = FilePart.picture
    monkeypatch.setattr(
        FilePart, "picture", lambda self, n, take: calls.append(n) or plain(self, n, take)
    )
    for how in ({}, {"size": 8}, {"size": 8}, {"size": 8, "filter": "nearest"}):
        len(open_images(str(tmp_path), **how).train)
    assert len(calls) == 10


def test_copies_are_noted(tmp_path):
    fill(tmp_path)
    assert open_images(str(tmp_path)).notes == []
    twin = (tmp_path / "train/cat/0.png").read_bytes()
    (tmp_path / "validation/cat/7.png").write_bytes(twin)
    (note,) = open_images(str(tmp_path)).notes
    assert "validation/cat/7.png = train/cat/0.png" in note
