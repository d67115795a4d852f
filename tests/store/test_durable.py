"""What survives a power cut: data reach the disk before their name does, the name before we go on.

Watched at the system's calls; no power is cut. POSIX promises a rename after a crash only once the
folder that holds the name is synced, too (fsync(2)).
"""

import contextlib
import os
import stat

import pytest

from famulus.store import files as files_module
from famulus.store.files import LocalFiles

DATA = b"weights"  # less than any buffer holds, so that a flush that is left out is seen


class Watch:
    """The calls that matter, in order: ("synced", inode, bytes) and ("named", inode)."""

    def __init__(self, monkeypatch):
        self.calls = []
        fsync, self.link = os.fsync, os.link

        def synced(handle):
            status = os.fstat(handle)
            size = None if stat.S_ISDIR(status.st_mode) else status.st_size
            self.calls.append(("synced", status.st_ino, size))
            fsync(handle)

        def naming(call):
            def named(source, target, **options):
                inode = os.stat(source).st_ino
                call(source, target, **options)
                self.calls.append(("named", inode))

            return named

        monkeypatch.setattr(os, "fsync", synced)
        for name in ("replace", "rename", "link"):
            monkeypatch.setattr(os, name, naming(getattr(os, name)))

    def wrong(self, target):
        """What is missing on the way of `target`, a file of DATA; "" if nothing is."""
        own, folder = target.stat().st_ino, target.parent.stat().st_ino
        order = [call for call in self.calls if call[1] in (own, folder)]
        written = ("synced", own, len(DATA))
        if written not in order:
            return "the file is never synced whole"
        named = order.index(("named", own)) if ("named", own) in order else order.index(written)
        if order.index(written) > named:
            return "the file has its name before it is synced"
        if ("synced", folder, None) not in order[named:]:
            return "the folder is not synced after the file has its name in it"
        return ""


def write(files, tmp_path):
    files.write("run/a", DATA)


def overwrite(files, tmp_path):
    (files.folder / "run").mkdir(parents=True)
    (files.folder / "run" / "a").write_bytes(b"old")
    files.write("run/a", DATA)


def create(files, tmp_path):
    assert files.create("run/a", DATA)


def copy_in(files, tmp_path):
    (tmp_path / "source").write_bytes(DATA)
    files.copy_in(tmp_path / "source", "run/a")


def write_and_move(files, tmp_path):
    files.write("run/b", DATA)
    (files.folder / "elsewhere").mkdir()
    files.move("run/b", "elsewhere/a")
    assert not (files.folder / "run" / "b").exists()


WAYS = (write, overwrite, create, copy_in, write_and_move)


def watched(way, tmp_path, monkeypatch, kind=LocalFiles):
    files, watch = kind(tmp_path / "store"), Watch(monkeypatch)
    way(files, tmp_path)
    target = files.folder / ("elsewhere/a" if way is write_and_move else "run/a")
    assert target.read_bytes() == DATA
    return watch.wrong(target)


def synced_folders(watch):
    return {call[1] for call in watch.calls if call[0] == "synced" and call[2] is None}


@pytest.mark.parametrize("way", [write, create, copy_in])
def test_folders_that_are_made_on_the_way_last_too(way, tmp_path, monkeypatch):
    """The name of a new folder stands in the one above it, up to what was there before."""
    files, watch = LocalFiles(tmp_path / "deep" / "store"), Watch(monkeypatch)
    way(files, tmp_path)
    holders = (files.folder, files.folder.parent, tmp_path)
    assert {holder.stat().st_ino for holder in holders} <= synced_folders(watch)


def test_a_move_lasts_on_either_side(tmp_path, monkeypatch):
    files = LocalFiles(tmp_path)
    files.write("run/b", DATA)
    (tmp_path / "elsewhere").mkdir()
    watch = Watch(monkeypatch)
    files.move("run/b", "elsewhere/a")
    folders = (tmp_path / "run", tmp_path / "elsewhere")
    assert synced_folders(watch) == {folder.stat().st_ino for folder in folders}


@pytest.mark.parametrize("way", WAYS)
def test_the_data_are_synced_before_the_name_and_the_folder_after_it(way, tmp_path, monkeypatch):
    assert watched(way, tmp_path, monkeypatch) == ""


def test_a_file_made_without_hard_links_is_synced_with_its_folder(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links here")

    files, watch = LocalFiles(tmp_path), Watch(monkeypatch)
    monkeypatch.setattr(os, "link", refuse)
    assert files.create("run/a", DATA)
    assert watch.wrong(files.folder / "run" / "a") == ""


def test_a_file_that_is_there_already_is_not_synced_as_ours(tmp_path, monkeypatch):
    files = LocalFiles(tmp_path)
    files.create("run/a", b"theirs")
    watch = Watch(monkeypatch)
    assert not files.create("run/a", DATA)
    assert (files.folder / "run" / "a").read_bytes() == b"theirs"
    assert not [call for call in watch.calls if call[0] == "named"]


def test_a_folder_that_can_not_be_opened_stops_no_write(tmp_path, monkeypatch):
    """Some network file systems; the write is as good as they let it be."""
    real = os.open

    def refuse(path, flags, *mode, **options):
        if os.path.isdir(path):
            raise PermissionError("no folders here")
        return real(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", refuse)
    LocalFiles(tmp_path).write("run/a", DATA)
    assert (tmp_path / "run" / "a").read_bytes() == DATA


# -- proof that the watch sees what is missing ------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_is_not_synced_is_seen(way, tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "sync_folder", lambda folder: None)
    assert "folder is not synced" in watched(way, tmp_path, monkeypatch)


class Hasty(LocalFiles):
    """Gives the name first, and syncs an empty file, or none."""

    @contextlib.contextmanager
    def _temporary(self, path):
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        yield self.folder / "unnamed", target
        files_module.sync_folder(target.parent)

    def write(self, path, data):
        with self._temporary(path) as (temporary, target), open(temporary, "wb") as file:
            os.fsync(file.fileno())  # before anything is flushed
            file.write(data)
            file.flush()
            os.replace(temporary, target)


def test_data_that_are_synced_before_they_are_written_are_seen(tmp_path, monkeypatch):
    assert "never synced whole" in watched(write, tmp_path, monkeypatch, Hasty)


class Late(Hasty):
    def write(self, path, data):
        with self._temporary(path) as (temporary, target), open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.replace(temporary, target)
            os.fsync(file.fileno())


def test_a_name_that_is_given_before_the_data_are_synced_is_seen(tmp_path, monkeypatch):
    assert "name before it is synced" in watched(write, tmp_path, monkeypatch, Late)
