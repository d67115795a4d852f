"""Several processes on one experiment, and what signals leave behind.

Held processes make every race a fixed one: no test waits for luck.
"""

import signal
import time

import pytest

from famulus.journal.facts.read import read_run
from famulus.store.store import Store
from tests.faults.processes import Process
from tests.launch.tiny import ONE, STEPS, famulus, write

MODEL, OPTIMIZER = "model.safetensors", "optimizer.safetensors"
FOUR = ("--set", "matrix.lr=[0.001, 0.003, 0.0003, 0.01]")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The tiny experiment with both cells, trained without a disturbance."""
    folder = tmp_path_factory.mktemp("undisturbed")
    root = folder / "runs"
    assert famulus("run", write(folder), "--store", root, "--no-journal").code == 0
    return {run.id: run for run in Store.open(root).runs()}


@pytest.fixture
def file(tmp_path):
    return write(tmp_path)


def same_end(run, undisturbed):
    """The last checkpoint and the visible curve, bit for bit."""
    whole = undisturbed[run.id]
    mine, theirs = run.open_checkpoint(STEPS), whole.open_checkpoint(STEPS)
    assert all(mine.read(name) == theirs.read(name) for name in (MODEL, OPTIMIZER))
    assert curve(run) == curve(whole)
    return True


def curve(run):
    return [(e["kind"], e["step"], e["values"]) for e in run.curve() if e["kind"] in POINTS]


POINTS = ("train", "val")


def one_line(run):
    """No point twice, neither in the curve nor in what the page draws."""
    for kind in POINTS:
        steps = [step for k, step, _ in curve(run) if k == kind]
        assert steps == sorted(set(steps))
        assert steps[-1] == STEPS
    for series in read_run(run).series.values():
        assert list(series.step) == sorted(set(series.step))
    return True


def test_two_processes_share_the_cells(tmp_path, file):
    words = ("run", file, *FOUR, "--store", tmp_path / "runs", "--json")
    with (
        Process(tmp_path, "a", *words, "--no-journal", hold_at=5) as a,
        Process(tmp_path, "b", *words) as b,
    ):
        a.held()
        store = Store.open(tmp_path / "runs")
        mine = [r for r in store.runs() if any(p == a.pid for p in pids(r))]
        b.until(lambda: sum(r.done() is not None for r in store.runs()) == 3)
        a.go()
        assert (a.code(), b.code()) == (0, 0), a.err + b.err
    runs = store.runs()
    assert len(runs) == 4
    assert all(len(run.attempts()) == 1 for run in runs)  # each was trained once
    by = [pids(run)[0] for run in runs]
    assert len(mine) == by.count(a.pid) == 1
    assert by.count(b.pid) == 3
    assert all(one_line(run) for run in runs)


def pids(run):
    return [attempt["process"]["pid"] for attempt in run.attempts()]


def test_a_killed_process_is_taken_over_at_once(tmp_path, file, undisturbed):
    words = ("run", file, "--store", tmp_path / "runs")
    with Process(tmp_path, "a", *words, hold_at=7) as a:
        a.held()
        with Process(tmp_path, "b", *words) as b:
            store = Store.open(tmp_path / "runs")
            b.until(lambda: any(r.done() for r in store.runs()))
            lost = next(r for r in store.runs() if pids(r) == [a.pid])
            assert lost.status() == "running"  # a living process keeps its cell
            assert a.kill().code() == -signal.SIGKILL
            assert b.code() == 0, b.err
    assert [(x["n"], x["start_from"]) for x in lost.attempts()] == [(1, None), (2, 5)]
    assert all(one_line(run) and same_end(run, undisturbed) for run in store.runs())
    page = (tmp_path / "runs/journal/tiny/index.md").read_text()
    assert all(run.id[:6] in page or run.slug in page for run in store.runs())


def test_a_frozen_process_is_taken_over_and_stops(tmp_path, file, undisturbed):
    words = ("run", file, *ONE, "--store", tmp_path / "runs", "--no-journal")
    with Process(tmp_path, "a", *words, "--lease-s", "1", hold_at=7) as a:
        a.held().send(signal.SIGSTOP)
        with Process(tmp_path, "b", *words, "--lease-s", "1") as b:
            assert b.code() == 0, b.err
        run = Store.open(tmp_path / "runs").runs()[0]
        assert [(x["n"], x["start_from"]) for x in run.attempts()] == [(1, None), (2, 5)]
        a.go().send(signal.SIGCONT)
        assert a.code() == 0, a.err  # it finds the cell done by the other one
        assert "another process has it" in a.out
        assert a.err == ""
    assert one_line(run)
    assert same_end(run, undisturbed)
    assert run.attempts()[0]["ended"] == "lost"  # its successor said so, since it could not


def test_a_process_that_beats_is_not_taken_over(tmp_path, file):
    """The control: beats come ten times a lease, so that a short one holds as well."""
    words = ("run", file, *ONE, "--store", tmp_path / "runs", "--no-journal", "--lease-s", "2")
    with Process(tmp_path, "a", *words, hold_at=7) as a:
        a.held()
        run = Store.open(tmp_path / "runs").runs()[0]
        beat = tmp_path / "runs" / run.path / "attempts/1.beat"
        first = beat.read_bytes()
        with Process(tmp_path, "b", *words) as b:
            b.until(lambda: beat.read_bytes() != first)
            b.until(lambda: "another process has it" in b.out)
            assert len(run.attempts()) == 1
            a.go()
            assert (a.code(), b.code()) == (0, 0)
    assert len(run.attempts()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_run_is_resumed_bit_for_bit(tmp_path, file, undisturbed, number):
    root = tmp_path / "runs"
    with Process(tmp_path, "a", "run", file, "--store", root, hold_at=6) as a:
        assert a.held().send(number).go().code() == 130
        assert "Traceback" not in a.out + a.err
    store = Store.open(root)
    run = store.find("last")
    assert f"famulus resume {run.id}" in a.out
    assert [r.status() for r in store.runs()] == ["interrupted"]  # and none was begun after it
    assert run.checkpoints()[-1] == 7  # nothing of what was trained is lost
    said = famulus("resume", run.id, "--store", root)
    assert said.code == 0, said.err
    assert one_line(run)
    assert same_end(run, undisturbed)


def test_a_second_signal_ends_at_once(tmp_path, file):
    with Process(tmp_path, "a", "run", file, "--store", tmp_path / "runs", hold_at=6) as a:
        a.held()
        for _ in range(2):  # though it still stands in its step
            a.send(signal.SIGINT)
            time.sleep(0.3)  # two that come at once are one
        a.until(lambda: not a.process.is_alive())
        assert a.code() == 130
        assert a.err in ("", "famulus: interrupted\n")
    run = Store.open(tmp_path / "runs").find("last")
    assert run.status() == "interrupted"
    assert run.checkpoints() == [4, 5]


def test_without_the_last_checkpoint_the_end_would_differ(tmp_path, file, undisturbed):
    """Negative control: bit-equality is no triviality; other noise is another end."""
    words = ("run", file, *ONE, "--set", "training.seed=1", "--store", tmp_path / "runs")
    assert famulus(*words, "--no-journal").code == 0
    run = Store.open(tmp_path / "runs").runs()[0]
    whole = next(r for r in undisturbed.values() if r.slug == run.slug)
    end = run.open_checkpoint(STEPS).read(MODEL)
    assert end != whole.open_checkpoint(STEPS).read(MODEL)
