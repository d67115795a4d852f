"""A batch depends on its position, not on threads, start or batch size."""

import threading
import time
from itertools import islice

import numpy as np
import pytest
import torch

from famulus.config.errors import DataError
from famulus.feed.feeder import Feeder, validation_batches
from famulus.feed.order import Order
from famulus.feed.source import Source


class Counting(Source):
    """Sample i is i plus noise from its seed; the slow one takes uneven time."""

    fingerprint = "counting"

    def __init__(self, n=23, slow=False, broken=None):
        self.n, self.slow, self.broken = n, slow, broken
        self.begun, self.threads = 0, set()

    def __len__(self):
        return self.n

    def gather(self, indices, seeds):
        self.begun += 1
        self.threads.add(threading.get_ident())
        if self.slow:
            time.sleep(0.0005 * (int(indices[0]) % 3))
        if self.broken is not None and self.broken in indices:
            raise OSError("pictures/17.png is cut short")
        return {"image": torch.from_numpy(indices.astype(np.uint8))}

    def finish(self, batch, seeds):
        noise = torch.from_numpy((seeds >> np.uint64(40)).astype(np.float32))
        return {**batch, "image": batch["image"].float() + noise / 2**24}

    def to(self, device):
        return self


def values(feeder, batches):
    with feeder:
        taken = list(islice(feeder, batches))
    return torch.cat([b["image"] for b in taken]), torch.cat([b["index"] for b in taken])


def test_it_is_a_source():
    assert isinstance(Counting(), Source)


@pytest.mark.parametrize("start", [0, 1, 22, 23, 60])
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_same_batches_for_any_workers_and_start(workers, start):
    whole, index = values(Feeder(Counting(), 1, 5, "cpu"), start + 40)
    feeder = Feeder(Counting(slow=True), 8, 5, "cpu", start_inputs=start, workers=workers)
    image, own = values(feeder, 5)
    assert torch.equal(image, whole[start:])
    assert torch.equal(own, index[start:])
    assert own.dtype == torch.int64


def test_another_seed_or_start_differs():  # proof that the test above can fail
    image = values(Feeder(Counting(), 8, 5, "cpu"), 3)[0]
    assert not torch.equal(image, values(Feeder(Counting(), 8, 6, "cpu"), 3)[0])
    assert not torch.equal(image, values(Feeder(Counting(), 8, 5, "cpu", 1), 3)[0])


def test_every_pass_holds_every_sample_once_and_differs_from_the_last():
    image, index = values(Feeder(Counting(), 23, 0, "cpu"), 2)
    first, second = index.reshape(2, 23)
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(23))
    assert not torch.equal(first, second)
    assert image[first.argsort()].tolist() != image[23:][second.argsort()].tolist()  # new noise


def test_threads_stay_a_bounded_number_of_batches_ahead():
    source = Counting(slow=True)
    with Feeder(source, 4, 0, "cpu", workers=2) as feeder:
        next(feeder)
        time.sleep(0.05)
        assert source.begun <= 1 + 2 * 2
        assert threading.get_ident() not in source.threads


def test_an_array_source_is_gathered_without_threads():
    source = Counting()
    values(Feeder(source, 4, 0, "cpu", workers=3), 4)
    assert source.threads == {threading.get_ident()}


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_surfaces_with_the_file_and_the_samples(workers):
    feeder = Feeder(Counting(slow=True, broken=17), 4, 0, "cpu", workers=workers)
    good = int(np.flatnonzero(Order(0, 23).batch(0, 23)[0] == 17)[0]) // 4
    list(islice(feeder, good))
    with pytest.raises(OSError, match=r"17\.png is cut short") as caught:
        next(feeder)
    assert "while reading the samples" in caught.value.__notes__[0]


def test_close_ends_the_threads():
    before = threading.active_count()
    feeder = Feeder(Counting(slow=True), 4, 0, "cpu", workers=3)
    next(feeder)
    assert threading.active_count() > before
    feeder.close()
    assert threading.active_count() == before
    with pytest.raises(StopIteration):
        next(feeder)


def test_it_counts_inputs_and_time():
    feeder = Feeder(Counting(), 4, 0, "cpu", start_inputs=10)
    next(feeder)
    assert feeder.inputs == 14
    assert feeder.waited_s > 0


def test_arguments_and_empty_sources():
    with pytest.raises(ValueError, match="received batch=0"):
        Feeder(Counting(), 0, 0, "cpu")
    with pytest.raises(DataError, match="at least 1 sample"):
        Feeder(Counting(0), 4, 0, "cpu")


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("batch", [1, 7, 23, 50])
def test_validation_walks_every_sample_once_in_order(batch, workers):
    runs = [list(validation_batches(Counting(slow=True), batch, "cpu", workers)) for _ in range(2)]
    assert torch.cat([b["index"] for b in runs[0]]).tolist() == list(range(23))
    assert [len(b["index"]) for b in runs[0][:-1]] == [batch] * (-(-23 // batch) - 1)
    images = [torch.cat([b["image"] for b in run]) for run in runs]
    assert torch.equal(*images)
    whole = next(iter(validation_batches(Counting(), 23, "cpu")))["image"]
    assert torch.equal(images[0], whole)  # the seeds don't depend on the batch size


def test_threads_are_chosen_where_nobody_asks():
    """A slow source without a number of workers is read ahead by threads, not by the training."""
    seen = set()

    class Slow(Source):
        slow = True
        fingerprint = "slow"

        def __len__(self):
            return 64

        def gather(self, indices, seeds):
            seen.add(threading.current_thread().name)
            return {"x": torch.from_numpy(indices)}

        def finish(self, batch, seeds):
            return batch

        def to(self, device):
            return self

    for workers, threaded in ((None, True), (0, False)):
        seen.clear()
        with Feeder(Slow(), 8, 0, "cpu", workers=workers) as feeder:
            next(feeder)
        assert all(name.startswith("feeder") for name in seen) == threaded
