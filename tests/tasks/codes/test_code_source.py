"""When, where and how a first stage encodes a whole set; and what is said meanwhile."""

import numpy as np
import pytest
import torch

from famulus.feed.feeder import fixed_batch
from famulus.feed.source import Source
from famulus.tasks.codes.code_source import ENCODE_PIXELS, Encoded, FirstStage, encoded_at_once


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
