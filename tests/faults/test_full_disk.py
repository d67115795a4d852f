"""A disk that is full or read-only, seen from the command line."""

import shutil
import subprocess

import pytest

from famulus.store.store import Store
from tests.launch.tiny import ONE, complains, famulus, lost, signalled, tree, write

BALLAST = "ballast"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system needs root; test_store_faults simulates one")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """Takes every free byte."""
    with open(folder / BALLAST, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def interrupted(tmp_path, root):
    with signalled(5):
        words = ("run", write(tmp_path), *ONE, "--store", root, "--no-journal")
        assert famulus(*words).code == 130
    return Store.open(root).runs()[0]


def test_a_run_that_will_not_fit_is_refused_before_its_first_step(tmp_path, small):
    file = write(tmp_path)
    wide = ("--set", "model.channels=[64, 128]", "--store", small / "runs")
    before = tree(small)
    said = famulus("run", file, *ONE, *wide, "--no-journal")
    complains(said, 4, str(small / "runs"), "will need about", "are free", "--store")
    assert lost(before, tree(small)) == []
    run = Store.open(small / "runs").find("last")
    assert run.checkpoints() == []


def test_a_disk_that_fills_during_a_run(tmp_path, small):
    run = interrupted(tmp_path, small / "runs")
    before = tree(small / "runs")
    fill(small)
    said = famulus("resume", run.id, "--store", small / "runs")
    complains(said, 4, str(small / "runs"), "disk is full", "free some space")
    assert lost(before, tree(small / "runs")) == []
    (small / BALLAST).unlink()
    assert famulus("resume", run.id, "--store", small / "runs").code == 0

    reference = Store.open(tmp_path / "whole")
    words = ("run", write(tmp_path), *ONE, "--store", reference.root, "--no-journal")
    assert famulus(*words).code == 0
    expected = reference.runs()[0].open_checkpoint(10).read("model.safetensors")
    assert run.open_checkpoint(10).read("model.safetensors") == expected


def test_a_disk_that_is_full_at_the_page(tmp_path, small):
    """The run is safe; the page's error is one line, and the page is written later."""
    run = interrupted(tmp_path, small / "runs")
    assert famulus("resume", run.id, "--store", small / "runs").code == 0
    shutil.rmtree(small / "runs" / "journal")
    fill(small)
    complains(famulus("journal", "--store", small / "runs"), 4, "journal", "free")
    (small / BALLAST).unlink()
    said = famulus("journal", "--store", small / "runs")
    assert said.code == 0
    assert "index.html" in said.out


def test_a_read_only_store(tmp_path, small):
    run = interrupted(tmp_path, small / "runs")
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    before = tree(small)
    file, at = write(tmp_path), ("--store", small / "runs")
    for words in (["run", file, *ONE], ["resume", run.id], ["journal"]):
        line = complains(famulus(*words, *at), 4, str(small / "runs"))
        assert "read-only file system" in line.lower()
    said = famulus("status", *at)  # reading is allowed
    assert said.code == 0
    assert run.id in said.out
    assert tree(small) == before
