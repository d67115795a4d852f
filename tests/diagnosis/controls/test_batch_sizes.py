"""Larger batches, as far as memory goes."""

import torch

from famulus.diagnosis.controls.batch_sizes import run, sizes
from famulus.launch.trial import Trial
from famulus.training import memory
from famulus.training.randomness import Streams
from tests.launch.sound import Sound, ready, rows


def test_larger_batches_are_tried_as_far_as_memory_goes(monkeypatch):
    """A sound net of small samples: all of them fit, and with room for 1.5 of its batches few."""
    trial = Trial(ready(Sound()), torch.device("cpu"))
    own = trial.training.batch
    with Streams(0, torch.device("cpu")).isolated():
        free = list(sizes(trial, 60.0))
        assert [s.batch for s in free] == [own // 4, own // 2, own, 2 * own, 4 * own]
        one = free[2].memory_mb * 1e6 / own
        monkeypatch.setattr(memory, "available", lambda device: int(2 * one * 1.5 * own))
        assert max(s.batch for s in sizes(trial, 60.0)) == own


def test_too_few_samples_for_a_quarter_of_a_batch_are_said_and_not_an_error():
    trial = Trial(ready(Sound()), torch.device("cpu"))
    trial.data = Sound(rows(trial.training.batch // 4 - 1, 0)).splits
    (control,) = run(trial, 60.0)
    assert control.verdict == "skipped"
    assert "too few samples" in control.text
