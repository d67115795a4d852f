"""Kept spectra: equal to those that are made, made once, and never trusted blindly."""

import pytest
import torch

from famulus.store.index import cache_folder
from famulus.tasks.qsm.datasets import open_qsm
from famulus.tasks.qsm.source import Acquisition, SpectrumSource

INDEX = torch.arange(3).numpy()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))


def source(**how):
    splits = open_qsm("shapes", 16, 1, 3, 1, 0, Acquisition(**how))
    return SpectrumSource(splits.train, bands=True)


def columns(of):
    return of.gather(INDEX, INDEX)


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in ("a", "b", "c", "rho"))


def files():
    return sorted((cache_folder() / "spectra").glob("*"))


def test_a_second_look_reads_and_draws_no_map(monkeypatch):
    first = columns(source())
    assert len(files()) == 1
    again = source()
    monkeypatch.setattr(again, "_made", lambda: pytest.fail("a map was drawn again"))
    assert same(columns(again), first)


def test_other_settings_have_other_spectra():
    first, other = columns(source()), columns(source(snr=(5.0,)))
    assert len(files()) == 2
    assert not same(first, other)


@pytest.mark.parametrize("bad", [b"", b"no safetensors", None])
def test_a_damaged_file_is_made_anew(bad):
    first = columns(source())
    (file,) = files()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if bad is None else bad)
    assert same(columns(source()), first)
    assert file.read_bytes() == whole


def test_without_a_place_to_write_they_are_made(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "file"))
    assert len(columns(source())["c"]) == 3
