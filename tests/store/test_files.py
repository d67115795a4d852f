"""Whole files, on both kinds of store; two processes that race for one name."""

import multiprocessing
import os

import pytest
from fsspec import AbstractFileSystem

from famulus.config.errors import StoreError
from famulus.store import Store
from famulus.store.files import LocalFiles
from famulus.store.remote import FsspecFiles


def test_what_is_written_is_read(store):
    store.files.write("a/b.bin", b"\0\1\n")
    assert store.files.read("a/b.bin") == b"\0\1\n"
    assert store.files.size("a/b.bin") == 3
    store.files.write("a/b.bin", b"2")
    assert store.files.read("a/b.bin") == b"2"
    assert store.files.list("a") == ["b.bin"]
    assert store.files.folders("") == ["a"]
    store.files.remove("a")
    assert store.files.list("a") == []
    assert not store.files.exists("a/b.bin")
    with pytest.raises(FileNotFoundError):
        store.files.read("a/b.bin")


def test_copy_in_equals_write(store, tmp_path):
    import hashlib

    data = os.urandom(3 << 20)
    (tmp_path / "big").write_bytes(data)
    size, digest = store.files.copy_in(tmp_path / "big", "c/big")
    assert (size, digest) == (len(data), hashlib.sha256(data).hexdigest())
    assert store.files.read("c/big") == data


def test_create_is_exclusive(store):
    assert store.exclusive
    assert store.files.create("x/1.json", b"first")
    assert not store.files.create("x/1.json", b"second")
    assert store.files.read("x/1.json") == b"first"


def test_create_without_hard_links_is_exclusive(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    files = LocalFiles(tmp_path)
    assert files.create("a", b"1")
    assert not files.create("a", b"2")
    assert os.listdir(tmp_path) == ["a"]
    assert files.read("a") == b"1"


def _race(root, barrier, won, n):
    files = LocalFiles(root)
    for k in range(40):
        barrier.wait()
        if files.create(f"attempts/{k}.json", b"%d" % n):
            won.put((k, n))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork beside threads of other tests
def test_two_processes_race_and_one_wins(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, won = context.Barrier(2), context.Queue()
    both = [context.Process(target=_race, args=(tmp_path, barrier, won, n)) for n in (1, 2)]
    for process in both:
        process.start()
    winners = dict(won.get(timeout=20) for _ in range(40))  # a second winner would shorten this
    for process in both:
        process.join(20)
    assert won.empty()
    assert sorted(winners) == list(range(40))
    for k, n in winners.items():
        assert LocalFiles(tmp_path).read(f"attempts/{k}.json") == b"%d" % n


def test_a_service_that_ignores_the_condition_is_single_writer(monkeypatch):
    store = Store.open("memory://careless")
    careless = type(store.files.fs).pipe_file

    def overwrite(self, path, value, mode="overwrite", **kwargs):
        return careless(self, path, value)

    assert store.exclusive  # the control: the same service, as it is
    monkeypatch.setattr(type(store.files.fs), "pipe_file", overwrite)
    assert not Store.open("memory://careless").exclusive


def test_look_then_write_is_not_exclusive(monkeypatch):
    """fsspec's default refuses the second file and still is no exclusive creation."""
    files = FsspecFiles("memory://default")
    monkeypatch.setattr(type(files.fs), "pipe_file", AbstractFileSystem.pipe_file)
    assert not files.exclusive()
    assert files.create("a", b"1")
    assert not files.create("a", b"2")


@pytest.mark.parametrize("url", ["http://host/x", "simplecache::memory://x", "reference://x"])
def test_other_protocols_are_refused(url):
    with pytest.raises(StoreError, match="expected a folder or a URL with"):
        Store.open(url)


def test_the_shown_root_holds_no_credentials():
    assert Store.open("memory://me:hunter2@bucket/lab").root == "memory://bucket/lab"


def test_a_missing_extra_is_named(monkeypatch):
    import fsspec

    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(StoreError, match=r"install famulus\[s3\]"):
        Store.open("s3://bucket/lab")
