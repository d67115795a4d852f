"""Processes that a script starts: loaders' workers, and the ranks of a data-parallel training."""

import subprocess
import sys

import pytest

from tests.watch.shell import LIMIT_S, Outcome, command, environment, script, watch


def test_workers_start_no_watch(tmp_path):
    """They import the script again, and what they compute with is torch as it is."""
    script(tmp_path, "workers.py")
    watched = watch(tmp_path, "workers.py", "spawn", "forkserver")
    assert watched.code == 0, watched
    assert watched.out.count("imported again as __mp_main__") == 2
    for method in ("spawn", "forkserver"):
        assert watched.out.count(f"{method} as it is\n") == 4, watched.out
    run = watched.run()
    assert (run.status(), run.done()["step"], run.done()["inputs"]) == ("finished", 8, 32)
    assert len(run.attempts()) == 1
    assert watched.notes() == []


def test_forked_workers_record_nothing(tmp_path):
    script(tmp_path, "workers.py")
    watched = watch(tmp_path, "workers.py", "fork")
    assert watched.code == 0, watched
    assert watched.out.count("fork ") >= 4
    run = watched.run()
    assert (run.status(), run.done()["step"], run.done()["inputs"]) == ("finished", 4, 16)
    assert len(run.attempts()) == 1
    assert watched.notes() == []


@pytest.mark.parametrize(("rank", "runs"), [("0", 1), ("1", 0)])
def test_only_the_first_rank_records(tmp_path, rank, runs):
    script(tmp_path, "ends.py")
    watched = watch(tmp_path, "ends.py", "three", RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2")
    assert watched.code == 3, watched
    assert watched.out.startswith("begin\n")
    if runs:
        assert watched.run().done()["step"] == 25
    else:
        assert watched.out == "begin\n"  # as if alone
        assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_torchrun(tmp_path):
    """Two processes that average their gradients: one run, and the same weights as without."""
    script(tmp_path, "spread.py")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

    def launched(*words):
        done = subprocess.run(
            [*start, *words],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done
        weights = [(tmp_path / f"weights-{rank}.txt").read_text() for rank in (0, 1)]
        return weights, Outcome(0, done.stdout, done.stderr, tmp_path)

    alone, _ = launched("spread.py")
    weights, watched = launched(*command("spread.py"))
    assert weights == alone
    assert weights[0] == weights[1]
    run = watched.run()
    assert (run.status(), run.done()["step"]) == ("finished", 20)
    assert watched.out.count("through") == 2
