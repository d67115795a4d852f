"""Copies across a split: exact ones, near ones, and strangers that only look alike."""

import numpy as np
import pytest
import torch

from famulus.diagnosis.controls.duplicates import copies, duplicates
from famulus.feed.copies import Copies, CopyNote
from famulus.feed.source import Splits
from tests.launch.sound import Sound, cause, found, rows


def test_copies_are_found_and_strangers_are_not():
    stream = torch.Generator().manual_seed(0)
    train = torch.rand(200, 3, 20, 20, generator=stream)
    strangers = torch.rand(50, 3, 20, 20, generator=stream)
    assert copies(train, strangers).example is None
    noisy = (train[7] * 0.8 + 0.05)[None] + 0.001 * torch.randn(1, 3, 20, 20, generator=stream)
    found = copies(train, torch.cat([strangers, train[3:5], noisy]))
    assert (found.exact, found.near, found.example) == (2, 1, (3, 50))
    assert duplicates(found).verdict == "warning"  # 3 of 53


def test_flat_samples_are_no_copies_of_each_other():
    flat = torch.arange(6.0)[:, None, None, None].expand(6, 1, 8, 8)
    textured = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert copies(flat[:3], torch.cat([flat[3:], textured])).example is None


def test_near_copies_are_found_behind_the_first_block():
    stream = torch.Generator().manual_seed(0)
    train, validation = (torch.rand(n, 1, 8, 8, generator=stream) for n in (5, 600))
    validation[550] = 0.9 * train[2] + 0.01
    found = copies(train, validation)
    assert (found.exact, found.near, found.example) == (0, 1, (2, 550))


@pytest.mark.parametrize(
    ("exact", "near", "sentence"),
    [
        (12, 37, "49 of 185 validation samples have a near-duplicate in training; 12 of them are"
                 " exact copies"),
        (1, 1, "2 of 185 validation samples have a near-duplicate in training; 1 of them is an"
               " exact copy"),
        (0, 1, "1 of 185 validation samples has a near-duplicate in training; none is exact"),
        (3, 0, "3 of 185 validation samples are exact copies of training samples"),
        (1, 0, "1 of 185 validation samples is an exact copy of training samples"),
        (0, 0, "none of 185 validation samples is in training, exactly or nearly"),
    ],
)  # fmt: skip
def test_both_counts_stand_in_one_sentence(exact, near, sentence):
    assert duplicates(Copies(exact, near, 185, 1000)).text == sentence


def test_the_dataset_s_own_count_is_the_one_that_is_said():
    """Once: by the check, with the dataset's names, whatever thumbnails of samples look like."""
    note = CopyNote.of(Copies(2, 3, 90, 240), ", as a.png = b.png")
    task = Sound(rows(240, 0), rows(90, 1))
    task.splits = Splits(task.splits.train, task.splits.validation, [note])
    told = found(task, "duplicates")["duplicates"]
    assert told.text == note
    assert (told.figures["exact"], told.figures["near"], told.figures["of"]) == (2, 3, 90)
    assert told.cause == "duplicates-across-split"


def test_volumes_are_compared_too():
    stream = torch.Generator().manual_seed(0)
    train = torch.rand(20, 1, 8, 8, 8, generator=stream)
    found = copies(train, torch.cat([train[:1] * 0.9, torch.rand(3, 1, 8, 8, 8, generator=stream)]))
    assert (found.exact, found.near, found.of) == (0, 1, 4)


def test_duplicates():
    train = rows(240, 0)
    assert cause(Sound(train), "duplicates") == ""
    half = rows(90, 1)
    half.image[:45] = train.image[100:145]
    told = found(Sound(train, half), "duplicates")["duplicates"]
    assert (told.verdict, told.cause) == ("failed", "duplicates-across-split")
    assert (told.figures["exact"], told.figures["near"]) == (45, 0)
    t, v = told.figures["example"]
    assert np.array_equal(train.image[t], half.image[v])
    nearly = rows(90, 1)
    nearly.image[:45] = 0.9 * train.image[100:145] + 1e-3
    told = found(Sound(train, nearly), "duplicates")["duplicates"]
    assert (told.cause, told.figures["near"]) == ("duplicates-across-split", 45)
