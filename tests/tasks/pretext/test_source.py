"""Questions as a source: the same for any number of workers, new in every epoch, or frozen."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from famulus.config.errors import DataError
from famulus.feed.feeder import Feeder, validation_batches, validation_seeds
from famulus.feed.streams import sample_seeds
from famulus.images.open import open_images
from famulus.tasks.pretext.data import PretextData, open_questions
from famulus.tasks.pretext.source import find_twins
from tests.images.picture_files import several, write

VIEWS = {"least_area": 0.5, "flip_h": 0.5, "jitter": 0.2, "noise": 0.5}
KINDS = ["unmix", "scale", "quadrant", "patchwork", "rotation", "contrastive"]


def settings(kind, **more):
    return PretextData(**{"name": "digits", "pretext": kind, "subset": 60, "views": VIEWS, **more})


def same(a, b):
    return set(a) == set(b) and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(0)
    for role, count in (("train", 40), ("val", 8)):
        for i in range(count):
            pixels = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            target = path / role / "ab"[i % 2] / f"{i}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(target)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_workers_gives_the_same_batches(kind, folder):
    """Over pictures that are decoded file by file, as large sets are."""
    data = settings(kind, name=str(folder), size=12, channels=3, subset=None)
    base = open_images(str(folder), size=12, channels=3, resident_bytes=0)
    questions = open_questions(data)
    questions.train.base, questions.train.slow = base.train, True
    runs = []
    for workers in (0, 1, 4):
        with Feeder(questions.train, 16, 3, "cpu", workers=workers) as feeder:
            runs.append([next(feeder) for _ in range(5)])
    for other in runs[1:]:
        assert all(same(a, b) for a, b in zip(runs[0], other, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_epochs_differ_unless_frozen(kind):
    index = np.arange(20)
    for frozen in (False, True):
        source = open_questions(settings(kind, frozen=frozen)).train
        first, second = (
            source.finish(source.gather(index, seeds), seeds)
            for seeds in (sample_seeds(0, epoch, index) for epoch in (0, 1))
        )
        assert torch.equal(first["image"], second["image"]) == frozen
        assert torch.equal(first["label"], second["label"])


@pytest.mark.parametrize("kind", KINDS)
def test_floors_see_the_answers_that_validation_asks(kind):
    source = open_questions(settings(kind, validation=50)).validation
    drawn = source.answers(np.arange(50), validation_seeds(np.arange(50)))
    asked = torch.cat(
        [b.get("weights", b["target"]) for b in validation_batches(source, 16, "cpu")]
    )
    assert torch.equal(drawn, asked)


def test_origins_name_the_pictures_that_were_mixed():
    data = settings("unmix", views={})
    source = open_questions(data).train
    index = np.array([3, 8])
    seeds = sample_seeds(0, 0, index)
    batch = source.finish(source.gather(index, seeds), seeds)
    plain = torch.from_numpy(source.base.images).float() / 255
    assert torch.equal(batch["sources"], plain[batch["origin"]])
    assert batch["origin"][:, 0].tolist() == [3, 8]


def test_identity_follows_the_question():
    prints = {
        open_questions(settings("unmix", **more)).fingerprint
        for more in ({}, {"alpha": 0.4}, {"frozen": True}, {"control": "noise"}, {"mixed": 1})
    }
    assert len(prints) == 5


def test_too_few_pictures():
    source = open_questions(settings("unmix", sources=5, subset=4)).train
    with pytest.raises(DataError, match="unmix: expected at least 5 pictures, received 4"):
        source.gather(np.arange(2), sample_seeds(0, 0, np.arange(2)))


def test_unlabelled_pictures_train_too(folder, tmp_path):
    """What is trained on is no longer called unused, and asks questions like the others."""
    shutil.copytree(folder, tmp_path / "set")
    shutil.copytree(folder / "val/a", tmp_path / "set/unsup")
    found = {}
    for used in (False, True):
        data = settings("unmix", name=str(tmp_path / "set"), subset=None, unlabelled=used)
        questions = open_questions(data)
        found[used] = len(questions.train)
        assert any("unused: unsup" in note for note in questions.notes) != used
    assert found == {False: 40, True: 44}


def test_repeated_pictures_are_reported(tmp_path):
    random = np.random.default_rng(1)
    for role, count in (("train", 6), ("val", 2)):
        for i in range(count):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            (tmp_path / role / "c").mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / role / "c" / f"{i}.png")
    image = Image.open(tmp_path / "train" / "c" / "1.png")
    image.save(tmp_path / "train" / "c" / "copy.png")
    notes = open_questions(settings("unmix", name=str(tmp_path), subset=None)).notes
    assert any("1 of 7 pictures repeat an earlier one" in note for note in notes)
    assert any("train/c/1.png = train/c/copy.png" in note for note in notes)


def test_twins_are_found_and_others_are_not():
    images = np.random.default_rng(0).integers(0, 256, (30, 3, 10, 10), dtype=np.uint8)
    images[7] = images[2]
    images[9] = (images[4] * 0.8).astype(np.uint8)  # dimmed
    images[20:22] = 128  # flat pictures have no pattern
    assert find_twins(images) == [(2, 7), (4, 9)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pretext": "rotation", "sources": 3}, "pretext rotation has no option sources"),
        ({"pretext": "unmix", "mixed": 3}, "mixed below sources"),
        ({"pretext": "contrastive"}, "views that differ"),
        ({"pretext": "rotation", "without": ["seam"]}, "only pretext patchwork"),
    ],
)
def test_settings_that_do_nothing_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        PretextData(**given)


def test_an_overfit_test_that_is_none_is_reported():
    drawn = open_questions(settings("unmix")).notes
    assert any("drawn anew in every epoch" in note for note in drawn)
    assert not any("drawn anew" in n for n in open_questions(settings("unmix", frozen=True)).notes)
    many = open_questions(settings("unmix", subset=300)).notes
    assert not any("drawn anew" in note for note in many)


def test_the_test_split_validates_where_that_is_said(tmp_path):
    name = write(tmp_path, [*several("train/cat", 30), *several("test/cat", 4)])
    questions = open_questions(settings("rotation", name=name, subset=None, validation="test"))
    assert (len(questions.train), len(questions.validation)) == (30, 4)
