"""Full disks, read-only folders, and processes that are killed or frozen."""

import builtins
import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from famulus.config.errors import Busy, StoreError
from famulus.store import Store, Superseded, files, layout
from famulus.store.claims import claim

WRITER = """
import sys, time
from famulus.store import Store, attempt
from famulus.store.claims import claim
attempt.BEAT_S = 0.05
run = Store.open(sys.argv[1]).runs()[0]
mine = claim(run)
mine.emit({"kind": "train", "step": 1})
mine.save_checkpoint(1, {"m": b"one"}, {})
mine.emit({"kind": "train", "step": 2})
mine.flush()
print("ready", flush=True)
step = 2
while True:
    time.sleep(0.02)
    step += 1
    mine.emit({"kind": "train", "step": step})
    mine.flush()
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    return Store.open(tmp_path / "lab").create_run("e", "s", "0" * 12, {})


@contextlib.contextmanager
def writer(run):
    words = [sys.executable, "-c", WRITER, str(run.files.folder)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
        process.stderr.close()


def test_a_killed_writer_ends_its_lease_at_once(run):
    with writer(run) as process:
        assert run.status() == "running"
        with pytest.raises(Busy):  # the control: while it lives
            claim(run, lease_s=300)
        process.kill()  # not waited for: even as a zombie it is dead
        for _ in range(500):
            if run.status() == "interrupted":
                break
            time.sleep(0.01)
        with claim(run, lease_s=300) as attempt:
            assert (attempt.n, attempt.start_from) == (2, 1)
            assert [event["step"] for event in run.events()] == [1]


def test_a_frozen_writer_is_superseded_and_stops_when_it_wakes(run):
    with writer(run) as process:
        with pytest.raises(Busy):  # the control: it beats, so that its lease is never over
            claim(run, lease_s=3.0, wait_s=3.5, poll_s=0.05)
        process.send_signal(signal.SIGSTOP)
        attempt = claim(run, lease_s=1.0, wait_s=20, poll_s=0.05)
        assert (attempt.n, attempt.start_from) == (2, 1)
        process.send_signal(signal.SIGCONT)
        assert process.wait(20) == 1
        assert Superseded.__name__ in process.stderr.read().decode()
        attempt.emit({"kind": "train", "step": 2, "new": True})
        attempt.end("interrupted")
        assert [event["step"] for event in run.events()] == [1, 2]
        assert run.attempts()[0]["ended"] == "lost"  # as its successor saw it


def left_over(run):
    return [p for p in run.files.folder.rglob("*") if layout.TEMPORARY in p.name]


def no_space(monkeypatch, after):
    """Every file opened for writing fails once `after` bytes were written to it."""
    true = builtins.open

    def opened(path, mode="r", *args, **kwargs):
        file = true(path, mode, *args, **kwargs)
        if "x" in mode:
            write = file.write

            def full(data):
                write(data[:after])
                if len(data) > after:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return len(data)

            return Full(file, full)
        return file

    monkeypatch.setattr(files, "open", opened, raising=False)


class Full:
    def __init__(self, file, write):
        self.file, self.write = file, write

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


def survives_a_full_disk(run, fill, free):
    """The whole story, on whatever disk `fill` fills and `free` empties."""
    attempt = claim(run)
    attempt.emit({"kind": "train", "step": 1})
    attempt.save_checkpoint(1, {"m": b"one"}, {})
    attempt.emit({"kind": "train", "step": 2})
    fill()
    with pytest.raises(StoreError, match="the disk is full: free some space and resume") as error:
        attempt.save_checkpoint(2, {"m": os.urandom(400_000)}, {})
    assert "\n" not in str(error.value)
    assert left_over(run) == []
    assert run.checkpoints() == [1]
    assert run.open_checkpoint(1).read("m") == b"one"
    free()
    attempt.save_checkpoint(2, {"m": b"two"}, {})  # the buffered event was not lost either
    attempt.end("interrupted")
    assert [event["step"] for event in run.events()] == [1, 2]
    assert run.open_checkpoint(2).read("m") == b"two"


def test_a_disk_that_says_it_is_full(run, monkeypatch):
    survives_a_full_disk(run, lambda: no_space(monkeypatch, 10), monkeypatch.undo)


@pytest.fixture
def small(tmp_path):
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(words, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system needs root; a disk is simulated beside this")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_full(small):
    run = Store.open(small / "lab").create_run("e", "s", "0" * 12, {})
    assert 0 < run.files.free_bytes() < 256 << 10
    survives_a_full_disk(run, lambda: None, lambda: None)


def test_a_read_only_file_system(small):
    store = Store.open(small / "lab")
    run = store.create_run("e", "s", "0" * 12, {"a": 1})
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    store = Store.open(small / "lab")  # reading is allowed
    assert store.runs()[0].config() == {"a": 1}
    assert store.runs()[0].status() == "planned"
    with pytest.raises(StoreError, match="the file system is read-only: choose another --store"):
        claim(run)
    with pytest.raises(StoreError, match="read-only"):
        Store.open(small / "other")


def test_a_folder_without_permission(run, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(StoreError, match="permission is missing: change it or choose another"):
        claim(run)


def test_a_file_where_the_store_should_be(tmp_path):
    (tmp_path / "lab").write_text("")
    with pytest.raises(StoreError, match="a file stands where a folder is expected"):
        Store.open(tmp_path / "lab")


def test_what_a_killed_writer_left_is_swept(run):
    folder = run.files.folder / run.path / "events" / "1"
    folder.mkdir(parents=True)
    (folder / f"{layout.TEMPORARY}1-x").write_bytes(b"half")
    assert len(left_over(run)) == 1
    with claim(run):
        assert left_over(run) == []


def test_the_folder_goes_away_under_a_writer(run, monkeypatch):
    attempt = claim(run)
    attempt.emit({"kind": "train", "step": 1})

    def gone(*_):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", gone)
        with pytest.raises(StoreError, match="its folder is gone"):
            attempt.flush()
    attempt.flush()
    assert len(list(run.events())) == 1
    attempt.close()
