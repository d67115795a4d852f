"""When a lease ends, by an injected clock and by what is known of a process."""

import json
import os
import subprocess
import sys

import pytest

from famulus.config.errors import Busy
from famulus.store import Store, Superseded, layout
from famulus.store.attempt import Attempt
from famulus.store.claims import claim
from famulus.store.leases import LeaseObserver, known_dead, this_process
from famulus.store.run import Home


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def elsewhere(url, clock):
    """A second machine's view of the same store, whose clock we set."""
    store = Store.open(url)
    store.home = Home(store.files, LeaseObserver(clock))
    return store


def test_an_observer_counts_from_its_own_first_sight(clock):
    observer = LeaseObserver(clock)
    assert observer.unchanged_s("run", b"1") == 0
    clock.now += 299
    assert observer.unchanged_s("run", b"1") == 299
    assert observer.unchanged_s("run", b"2") == 0  # it beat
    clock.now += 300
    assert observer.unchanged_s("other", b"2") == 0
    assert observer.unchanged_s("run", b"2") == 300


def test_a_frozen_beat_ends_the_lease_and_the_old_writer_stops(run, elsewhere, clock):
    old = claim(run)  # this process lives: only the beat can end its lease
    old.emit({"kind": "train", "step": 1})
    old.save_checkpoint(1, {"m": b"one"}, {})
    old.emit({"kind": "train", "step": 2})
    theirs = elsewhere.runs()[0]
    for _ in range(3):  # looking often changes nothing
        with pytest.raises(Busy, match="running"):
            claim(theirs, lease_s=300)
        clock.now += 99
    with pytest.raises(Busy):
        claim(theirs, lease_s=300)
    clock.now += 4
    new = claim(theirs, lease_s=300)
    assert (new.n, new.start_from) == (2, 1)
    old.emit({"kind": "train", "step": 3})
    for write in (
        old.flush,
        lambda: old.save_checkpoint(3, {"m": b"late"}, {}),
        lambda: old.prune(()),
        lambda: old.finish({"status": "finished"}),
    ):
        with pytest.raises(Superseded, match="attempt 2"):
            write()
    assert [e["step"] for e in run.events()] == [1]
    assert run.done() is None
    assert run.checkpoints() == [1]
    new.close()


def test_a_living_beat_keeps_the_lease(run, elsewhere, clock):
    attempt = claim(run)
    theirs = elsewhere.runs()[0]
    for _ in range(5):
        with pytest.raises(Busy):
            claim(theirs, lease_s=300)
        clock.now += 299
        attempt.beat()
    attempt.close()


def test_the_thread_beats(run, monkeypatch):
    from famulus.store import attempt as module

    monkeypatch.setattr(module, "BEAT_S", 0.01)
    path = layout.beat(run.path, 1)
    with claim(run):
        first = run.files.read(path)
        for _ in range(500):
            if run.files.read(path) != first:
                break
            module.threading.Event().wait(0.01)
        assert run.files.read(path) != first


def test_a_writer_that_wakes_in_the_middle_of_a_checkpoint_harms_nobody(
    run, elsewhere, clock, monkeypatch
):
    """Frozen between its last look for a successor and its writing: the worst moment."""
    old = claim(run)
    old.save_checkpoint(1, {"m": b"one"}, {})
    theirs = elsewhere.runs()[0]
    with pytest.raises(Busy):
        claim(theirs)
    clock.now += 301
    new = claim(theirs)
    new.save_checkpoint(2, {"m": b"new"}, {})
    true = old._stop_if_superseded
    monkeypatch.setattr(old, "_stop_if_superseded", lambda *manifest: manifest and true(*manifest))
    old.emit({"kind": "train", "step": 2, "late": True})
    with pytest.raises(Superseded):
        old.save_checkpoint(2, {"m": b"late"}, {})
    assert run.checkpoints() == [1, 2]
    assert run.open_checkpoint(2).read("m") == b"new"
    monkeypatch.setattr(old, "_stop_if_superseded", lambda *manifest: None)
    old.save_checkpoint(3, {"m": b"late"}, {})  # even its manifest gets through
    assert run.checkpoints() == [1, 2]  # and is not on the line
    assert list(run.events()) == []
    new.save_checkpoint(3, {"m": b"new"}, {})
    assert run.checkpoints() == [1, 2, 3]
    assert run.open_checkpoint(3).read("m") == b"new"
    new.close()


def test_this_process_lives():
    assert not known_dead(this_process())


def test_a_dead_process_is_known_only_here():
    code = "import json; from famulus.store.leases import this_process as t; print(json.dumps(t()))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    process = json.loads(said)
    assert known_dead(process)
    for key in ("host", "boot", "namespace"):
        assert not known_dead({**process, key: "another"})
    assert not known_dead({})
    assert not known_dead({**process, "pid": "1"})


def test_a_reused_number_is_not_the_old_process():
    here = this_process()
    assert here["pid"] == os.getpid()
    assert known_dead({**here, "started": "1"})


def test_waiting_for_a_lease(run):
    attempt = claim(run)
    with pytest.raises(Busy):
        claim(run, lease_s=30, wait_s=0.02, poll_s=0.01)
    new = claim(run, lease_s=0.05, wait_s=5, poll_s=0.01)  # the beat stands still between two
    assert new.n == 2
    attempt.close()
    new.close()


def test_what_a_predecessor_finished_stays_as_it_is(run):
    """Cut off behind its last look, it comes back and finishes: its successor must not write."""
    first = claim(run)
    first.save_checkpoint(40, {"model.safetensors": b"first"}, {})
    successor = layout.attempt(run.path, 2)
    assert run.files.create(successor, b'{"n": 2, "start_from": null, "origin": null}')
    second = Attempt(run, 2, None)
    run.files.create(layout.done(run.path), b'{"status": "finished", "attempt": 1}')
    with pytest.raises(Superseded, match=r"done\.json"):
        second.save_checkpoint(40, {"model.safetensors": b"second"}, {})
    assert run.open_checkpoint(40).read("model.safetensors") == b"first"
    first.close()
