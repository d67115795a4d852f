"""The small scan of `scans`, for the tests of inputs."""

import pytest

from tests.tasks.qsm.scans import RAD, apply, result, written


@pytest.fixture
def scan(tmp_path, monkeypatch):
    """(phase XYZ rad, mask, magnitude) in the working folder."""
    monkeypatch.chdir(tmp_path)
    return written()


@pytest.fixture
def plain(scan):
    """The map of the plain file."""
    assert apply(**RAD, out="plain.nii").err == ""
    return result("plain.nii")[0]
