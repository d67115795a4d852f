"""What a source must say, and what is taken from one that says less."""

import copy

import numpy as np
import pytest
import torch

from famulus.config.errors import ConfigError
from famulus.feed.feeder import Feeder, fixed_batch
from famulus.feed.source import Leak, Source, Splits

CPU = torch.device("cpu")


class Numbers(Source):
    """`x` B: 0, 1, 2, ... and a number drawn from the seed."""

    fingerprint = "numbers"

    def __init__(self, count: int = 10, **more) -> None:
        self.count = count
        for name, value in more.items():
            setattr(self, name, value)

    def __len__(self):
        return self.count

    def gather(self, indices, seeds):
        return {"x": torch.from_numpy(indices), "drawn": torch.from_numpy(seeds.astype(np.int64))}


class OfOld:
    """The same, by a class that knows nothing of Source."""

    fingerprint, count = "numbers", 10
    __len__, gather = Numbers.__len__, Numbers.gather

    def finish(self, batch, seeds):
        return {**batch, "x": batch["x"] + 100}

    def to(self, device):
        return self


class Backwards:
    def batch(self, start, count):
        index = np.arange(start, start + count)[::-1].copy()
        return index, np.zeros(count, np.uint64)


def fed(source):
    with Feeder(source, 4, 0, CPU) as feeder:
        return [next(feeder)["x"].tolist() for _ in range(3)]


def test_a_source_that_does_not_derive_from_it_is_fed_alike():
    own, old = Splits(Numbers(), Numbers()), Splits(OfOld(), OfOld())
    assert old.fingerprint == own.fingerprint
    assert (old.train.slow, old.train.labels, old.train.classes, old.resized) == (
        *(False, None, None, None),
    )
    expected = [[n + 100 for n in batch] for batch in fed(own.train)]
    assert fed(old.train) == fed(copy.deepcopy(old.train)) == expected
    assert old.train.to(CPU) is old.train
    assert old.train.count == 10  # a task reads what its own source holds


def test_what_it_does_say_counts():
    source = OfOld()
    source.slow, source.labels, source.order = True, np.zeros(10), lambda seed: Backwards()
    train = Splits(source, Numbers()).train
    assert train.slow
    assert train.labels is source.labels
    assert fed(train)[0] == [103, 102, 101, 100]


def test_what_is_no_source_is_named():
    with pytest.raises(ConfigError, match=r"received a list without fingerprint, gather, finish"):
        Splits(Numbers(), [1, 2])


class Bare(Source):
    """What the base class itself demands, and no more."""

    __len__, gather = Numbers.__len__, Numbers.gather


def test_a_source_without_a_fingerprint_is_named():
    held = Bare()
    held.fingerprint = "found out when it was made"
    assert Splits(held, held).train is held
    with pytest.raises(ConfigError, match=r"expected a fingerprint of Bare, received none"):
        Splits(held, Bare())


def test_notes_wait_until_they_are_asked_for():
    asked = []
    splits = Splits(Numbers(), Numbers(), lambda: asked.append(1) or ["a note"])
    assert asked == []
    assert splits.notes == splits.notes == ["a note"]
    assert asked == [1]
    assert Splits(Numbers(), Numbers(), ("one", "two")).notes == ["one", "two"]


@pytest.mark.parametrize(
    ("train", "held_out", "whole"),
    [
        (None, None, None),
        (False, None, False),
        (None, True, True),
        (False, True, True),
        (True, False, True),
        (False, False, False),
        (True, None, True),
    ],
)
def test_splits_are_resized_where_a_part_is(train, held_out, whole):
    assert Splits(Numbers(resized=train), Numbers(resized=held_out)).resized is whole


def test_the_defaults_change_nothing():
    batch = fixed_batch(Numbers(), np.arange(3), CPU)
    assert batch["x"].tolist() == [0, 1, 2]
    assert Numbers().order(0) is None


def test_a_note_is_one_line_that_can_be_printed():
    """Whatever a file is called: a line break, a terminal's command, bytes that are no UTF-8."""
    name = "\xe4\n\x1b[2J" + b"\xff".decode("utf-8", "surrogateescape")
    notes = Splits(Numbers(), Numbers(), [f"left out {name}.png", "plain: 1,000 of 2,000"]).notes
    assert notes == ["left out \xe4\\n\\x1b[2J\\udcff.png", "plain: 1,000 of 2,000"]
    "".join(notes).encode("utf-8")


def test_a_note_stays_what_it_is_where_a_name_in_it_can_not_be_shown():
    """A line break in the name of a file: escaped, and a leak is still one, with its counts."""

    class Counted(Leak):
        count: int

    note = Counted("1 copy, as a\nb.png")
    note.count = 1
    first, plain = Splits(Numbers(), Numbers(), [note, "plain"]).notes
    assert first == "1 copy, as a\\nb.png"
    assert isinstance(first, Leak)
    assert first.count == 1
    assert plain == "plain"
