"""Labels by name, and what is told of folders that are not as they should be."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from famulus.config.errors import ConfigError, DataError
from famulus.images.class_folders import class_notes, match_labels, with_unlabelled
from famulus.images.labelled_source import PictureData, Views, open_labelled
from famulus.images.open import open_images


def save(path, value, size=(8, 8), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


TRAIN = [f"n{i:03d}" for i in (2, 5, 7, 11, 13)]
VALID = [TRAIN[i] for i in (1, 3)]  # numbered alone, 0 and 1 are other classes


@pytest.fixture
def wang(tmp_path):
    """Image网's layout in small: more training classes than validation classes, and `unsup`."""
    for c, name in enumerate(TRAIN):
        for i in range(3):
            save(tmp_path / "train" / name / f"{i}.png", 10 * c + i)
    for c, name in enumerate(VALID):
        save(tmp_path / "val" / name / "0.png", 100 + c)
    for i in range(4):
        save(tmp_path / "unsup" / f"{i}.png", 200 + i)
    return tmp_path


def test_one_list_serves_both_parts(wang):
    splits = open_labelled(PictureData(name=str(wang)), Views().view())
    assert splits.train.classes == tuple(TRAIN)
    assert [TRAIN[i] for i in splits.validation.labels] == VALID
    assert splits.train.counts == dict.fromkeys(TRAIN, 3)
    assert any("5 classes in training, 2 of them in validation" in note for note in splits.notes)


def test_numbered_apart_nothing_agrees(wang):  # what the journal did
    apart = {name: i for i, name in enumerate(VALID)}
    assert not any(apart[name] == TRAIN.index(name) for name in VALID)


def test_a_class_that_is_never_trained_is_an_error(wang):
    save(wang / "val" / "n999" / "0.png", 7)
    with pytest.raises(DataError, match="class 'n999' is not among the 5 training classes"):
        open_labelled(PictureData(name=str(wang)), Views().view())


def test_unlabelled_pictures_are_joined_to_the_others(wang):
    train = open_images(str(wang), channels=3).train
    more = with_unlabelled(train)
    assert len(more) == len(train) + 4
    assert (more.labels == -1).sum() == 4
    assert more.fingerprint != train.fingerprint
    (wang / "unsup").rename(wang / "other")
    without = open_images(str(wang), channels=3).train
    with pytest.raises(ConfigError, match="expected a folder unsup"):
        with_unlabelled(without)


def test_matching_by_name():
    assert match_labels(np.array([1, 0, -1]), ["a", "b"], ["b", "x", "a"]).tolist() == [0, 2, -1]
    with pytest.raises(DataError, match=r"class 'b' is not among .*nor are 1 others"):
        match_labels(np.array([1, 2]), ["a", "b", "c"], ["a"])
    assert match_labels(np.array([0]), ["a", "b"], ["a"]).tolist() == [0]  # b is not in use


def test_odd_pictures_and_folders_are_reported(tmp_path):
    for name, mode in (("cat", "L"), ("dog", "RGB")):
        for i in range(3):
            save(tmp_path / "train" / name / f"{i}.png", i, mode=mode)
        save(tmp_path / "val" / name / "0.png", 9)
    save(tmp_path / "train" / "cat" / "cmyk.jpg", 4, mode="CMYK")
    save(tmp_path / "train" / "one" / "tiny.png", 5, size=(1, 1))
    (tmp_path / "train" / "empty").mkdir()
    (tmp_path / "train" / "dog" / "bad.png").write_bytes(b"\x89PNG torn")
    (tmp_path / "train" / "broken").mkdir()
    (tmp_path / "train" / "broken" / "x.png").write_bytes(b"nothing")
    found = open_images(str(tmp_path), size=8, channels=3)
    names, notes = class_notes(found.train, found.validation)
    assert names == ["cat", "dog", "one"]
    text = "\n".join([*notes, *found.notes])
    assert "only 1 picture of one" in text
    assert "no picture in the class folders empty" in text
    assert "no readable picture of broken" in text
    assert "left out train/dog/bad.png" in text
    assert len(found.train) == 8


def test_a_zip_is_read_alike(wang, tmp_path):
    target = tmp_path / "packed.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(wang.rglob("*.png")):
            archive.writestr(f"wang/{file.relative_to(wang).as_posix()}", file.read_bytes())
    splits = open_labelled(PictureData(name=str(target)), Views().view())
    assert splits.train.classes == tuple(TRAIN)
