"""The peak of a stretch of work, and what a rehearsal says of memory and time."""

import mmap
import re
import sys

import pytest
import torch

from famulus.feed.source import Splits
from famulus.store.store import Store
from famulus.training import memory
from famulus.training.memory import Peak
from famulus.training.preflight import rehearse
from famulus.training.setup import Setup
from tests.launch.tiny import ONE, famulus, write
from tests.training.toy import Toy, ToySource, training

CPU = torch.device("cpu")
TAKEN = 192 << 20  # bytes
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a while")


def take() -> None:
    """Touches new pages, and gives them back; malloc may hand out pages that it still holds."""
    with mmap.mmap(-1, TAKEN) as pages:
        for _ in range(TAKEN >> 20):
            pages.write(b"1" * (1 << 20))


def forecast(task, data=None):
    return rehearse(Setup(task, data or task.data(), training(), CPU))


class Hungry(Toy):
    """Takes memory in the middle of a validation, and gives it back."""

    def scores(self, model, batches):
        take()
        return super().scores(model, batches)


@linux
def test_a_peak_is_seen_and_forgotten():
    with Peak(CPU) as before:
        pass
    with Peak(CPU) as during:
        take()
    with Peak(CPU) as after:
        pass
    assert during.bytes - before.bytes > 0.9 * TAKEN
    assert during.bytes - after.bytes > 0.9 * TAKEN


@linux
def test_where_it_cannot_be_asked_anew_it_is_the_peak_of_the_process(monkeypatch, tmp_path):
    with Peak(CPU) as known:
        pass
    take()
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "nowhere" / "clear_refs")
    with Peak(CPU) as whole:
        pass
    assert whole.bytes - known.bytes > 0.9 * TAKEN


def test_an_error_goes_through():
    with pytest.raises(ZeroDivisionError), Peak(CPU):
        raise ZeroDivisionError


@linux
def test_a_rehearsal_says_what_the_run_will_take():
    forecast(Toy())  # what is imported and compiled once stays
    plain = forecast(Toy())
    assert forecast(Hungry()).memory_bytes - plain.memory_bytes > 0.9 * TAKEN
    assert forecast(Toy()).memory_bytes - plain.memory_bytes < 0.1 * TAKEN  # control


def test_what_a_source_does_once_is_not_counted_as_validation():
    class Late(ToySource):
        """Decoded at its first gather, as files are."""

        read = False

        def gather(self, indices, seeds):
            self.read = True
            return super().gather(indices, seeds)

    class Watched(Toy):
        def scores(self, model, batches):
            assert late.read
            return super().scores(model, batches)

    late = Late(40, 1)
    with pytest.raises(AssertionError):  # control: nothing has read it yet
        Watched().scores(None, [])
    forecast(Watched(), Splits(ToySource(96, 0), late))


@linux
def test_it_is_said_before_the_run_and_stays_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    where = ("--store", tmp_path / "runs")
    said = famulus("run", write(tmp_path), *ONE, *where, "--no-journal")
    assert re.search(r"about .*, [\d,]+ MB of memory and [\d,]+ MB of disk to come", said.out)
    (run,) = Store.open(tmp_path / "runs").runs()
    (told,) = [e["memory_mb"] for e in run.events() if e["kind"] == "facts"]
    assert told > 50  # torch alone is more
    shown = famulus("compare", "tiny", *where, "--format", "json").json()
    assert shown["rows"][0]["memory (MB)"] >= told


def test_memory_that_is_left_is_what_the_kernel_says(tmp_path, monkeypatch):
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:       24683432 kB\nMemAvailable:   21681840 kB\n")
    monkeypatch.setattr(memory, "MACHINE", told)
    assert memory.available(torch.device("cpu")) == 21681840 * 1024
    monkeypatch.setattr(memory, "MACHINE", tmp_path / "none")
    assert memory.available(torch.device("cpu")) is None
