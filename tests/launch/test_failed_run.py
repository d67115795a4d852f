"""A run that an error ends: why, where and after how long is on record, and it can be mended."""

import re
import time

import pytest

from famulus.store.store import Store
from famulus.tasks.tiles.tiles import Tiles
from tests.launch.tiny import ONE, famulus, write

SLEPT_S = 0.3


@pytest.fixture
def failed(tmp_path, monkeypatch):
    """A run whose seventh step waits a while, and fails."""
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    true = Tiles.loss

    def fails(self, model, batch, at):
        if at.step == 6:
            time.sleep(SLEPT_S)
            raise ValueError("expected a mask, received none")
        return true(self, model, batch, at)

    with monkeypatch.context() as patch:
        patch.setattr(Tiles, "loss", fails)
        said = famulus("run", write(tmp_path), *ONE, "--store", tmp_path / "runs")
    assert said.code == 1
    return Store.open(tmp_path / "runs").find("last")


def test_its_reason_its_line_and_its_seconds(failed):
    ending = failed.ending()
    assert ending["status"] == "failed"
    assert ending["reason"] == "ValueError: expected a mask, received none"
    assert ending["error"]["type"] == "ValueError"
    assert re.fullmatch(r"(tests/)?launch/test_failed_run\.py:\d+ in fails", ending["error"]["at"])
    logged = max(e["s"] for e in failed.events() if e["kind"] == "train")
    assert ending["seconds"] >= logged + SLEPT_S - 0.01
    assert failed.attempts()[0]["ended"] == "error"
    said = famulus("status", "--store", failed.files.root)
    assert "ValueError: expected a mask, received none" in said.out


def test_it_goes_on_when_the_error_is_mended(failed):
    assert famulus("resume", failed.id, "--store", failed.files.root).code == 0
    assert failed.done()["status"] == "finished"
    assert [a["ended"] for a in failed.attempts()] == ["error", "finished"]
    assert "error" not in failed.ending()


def test_a_failure_without_an_error_names_no_line(tmp_path, monkeypatch):
    """Of a loss that is not finite the reason is enough."""
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    true = Tiles.loss

    def explodes(self, *given):
        return {name: value * float("nan") for name, value in true(self, *given).items()}

    monkeypatch.setattr(Tiles, "loss", explodes)
    assert famulus("run", write(tmp_path), *ONE, "--store", tmp_path / "runs").code == 1
    run = Store.open(tmp_path / "runs").find("last")
    assert run.done()["reason"].startswith("loss-not-finite")
    assert "error" not in run.done()
    assert run.attempts()[0]["ended"] == "failed"
