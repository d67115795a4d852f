"""Helpers are command lines: no object is sent, and none is left behind."""

import pytest
from typer.main import get_command

from famulus import cli
from famulus.launch import actions, workers
from famulus.launch.local import Report
from famulus.launch.session import Session
from famulus.store.store import Store
from tests.launch.tiny import write


class Started:
    made: list = []  # noqa: RUF012

    def __init__(self, command, **_):
        self.command, self.ended = command, []
        self.made.append(self)

    def terminate(self):
        self.ended.append("terminated")

    def wait(self):
        self.ended.append("waited")


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(Started, "made", [])
    monkeypatch.setattr(workers.subprocess, "Popen", Started)
    return Started.made


def helpers(tmp_path, count=2):
    store = Store.open(tmp_path / "runs")
    given = (tmp_path / "x.yaml", ["training.batch=8", "why=two words"])
    return workers.Helpers(count, *given, Session(store, ["mine.task"], 60.0))


def test_a_helper_runs_the_same_experiment(tmp_path, made):
    with helpers(tmp_path):
        assert len(made) == 2
    words = made[0].command[made[0].command.index("run") + 1 :]
    parsed = get_command(cli.app).commands["run"].make_context("run", words).params
    assert str(parsed["file"]) == str(tmp_path / "x.yaml")
    assert list(parsed["set_"]) == ["training.batch=8", "why=two words"]
    assert list(parsed["allow_module"]) == ["mine.task"]
    assert (parsed["store"], parsed["lease_s"]) == (str(tmp_path / "runs"), 60.0)
    assert (parsed["workers"], parsed["journal"]) == (1, False)
    assert all(one.ended == ["waited"] for one in made)


def test_helpers_end_with_an_error_of_the_first_process(tmp_path, made):
    with pytest.raises(RuntimeError), helpers(tmp_path):
        raise RuntimeError
    assert all(one.ended == ["terminated", "waited"] for one in made)


def test_helpers_end_when_this_process_is_interrupted(tmp_path, made, monkeypatch):
    """A SIGTERM for one process, as a scheduler sends it, is told to the helpers."""
    monkeypatch.setattr(actions, "run_cells", lambda *a, **k: Report(interrupted="SIGTERM"))
    monkeypatch.setattr(actions, "prepare", lambda *a: [])
    store = Store.open(tmp_path / "runs")
    actions.run_file(Session(store, silent=True), write(tmp_path), [], workers=3)
    assert [one.ended for one in made] == 2 * [["terminated", "waited"]]


def test_one_worker_needs_no_helper(tmp_path, made):
    with helpers(tmp_path, 0):
        assert made == []
