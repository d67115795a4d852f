"""When, where and how a first stage encodes a whole set; and what is said meanwhile."""

import numpy as np
import pytest
import torch

from famulus.feed.feeder import fixed_batch
from famulus.feed.source import Source
from famulus.tasks.codes.code_source import ENCODE_PIXELS, Encoded, FirstStage, encoded_at_once
from famulus.tasks.codes.progress_log import told


class Flat(Source):
    """Pictures of one grey each: the number of the sample."""

    slow, fingerprint, shape = False, "flat", (1, 8, 8)

    def __len__(self):
        return 150

    def gather(self, indices, seeds):
        return {"image": torch.from_numpy(indices).float().view(-1, 1, 1, 1).expand(-1, 1, 8, 8)}

    def finish(self, batch, seeds):
        return batch

    def to(self, device):
        return self


@pytest.fixture
def asked(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return []


def encoded(asked) -> Encoded:
    def encode(batch, device):
        assert batch["image"].device == device  # the pictures are where the net will be
        asked.append((device.type, len(batch["image"])))
        return torch.zeros(len(batch["image"]), 4, 4, 2, dtype=torch.int64)

    return Encoded(Flat(), FirstStage(encode, (4, 4, 2), 16, "digest"))


@pytest.mark.parametrize("device", ["cpu", "meta"])  # meta: any device but the CPU
def test_it_encodes_at_the_first_gather_on_the_device_that_was_named(asked, device):
    source = encoded(asked)
    assert source.shape == (4, 4, 2)
    assert asked == []
    source.to(torch.device(device)).gather(np.arange(3), None)
    assert asked == [(device, 64), (device, 64), (device, 22)]
    source.gather(np.arange(5), None)
    assert len(asked) == 3


def test_a_batch_of_a_device_has_the_set_encoded_there(asked):
    batch = fixed_batch(encoded(asked), np.arange(2), "meta")
    assert {device for device, _ in asked} == {"meta"}
    assert batch["codes"].shape == (2, 4, 4, 2)


@pytest.mark.parametrize("side", [28, 128, 256, 640, 4096])
def test_large_pictures_are_encoded_few_at_a_time(side):
    count = encoded_at_once((3, side, side))
    assert count == 1 or count * side**2 <= ENCODE_PIXELS
    assert count == 64 or (count + 1) * side**2 > ENCODE_PIXELS
    assert 1 <= count <= 64


def test_long_work_is_told_every_ten_seconds_and_short_work_never():
    for step_s, lines in ((0.001, []), (4.0, [
        "work: 30 of 100, about 28 s left",  # three parts took 12 s, seven are left
        "work: 60 of 100, about 16 s left",
        "work: 90 of 100, about 4 s left",
    ])):  # fmt: skip
        said, now = [], [0.0]
        parts = []
        for part in told(100, 10, "work", said.append, lambda now=now: now[0]):
            parts.append(np.arange(part.start, part.stop))
            now[0] += step_s
        assert np.array_equal(np.concatenate(parts), np.arange(100))
        assert said == lines


def test_what_is_told_stays_out_of_the_answer(capsys, monkeypatch):
    monkeypatch.setattr("famulus.tasks.codes.progress_log.EVERY_S", 0.0)
    assert [part.stop for part in told(5, 2, "work", clock=iter(range(9)).__next__)] == [2, 4, 5]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1] == "work: 4 of 5, about 1 s left"
