"""Whole-process wall time of what people type most: warm disk, median of 5."""

import statistics
import subprocess
import sys
import tempfile

from benchmarks.timing import seconds
from famulus.store.claims import claim
from famulus.store.store import Store

RUNS, TIMES = 100, 5
CONFIG = {"why": "?", "task": "tiles", "training": {"seed": 0}}


def measure(quick: bool) -> dict[str, float | str | None]:
    """`famulus --help`, and `famulus status` on a store of 100 finished runs."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(folder)
        for number in range(RUNS):
            run = store.create_run("bench/startup", f"cell-{number}", f"{number:012x}", CONFIG)
            with claim(run) as attempt:
                attempt.finish({"status": "finished", "inputs": 1, "scores": {"val/loss": 1.0}})
        return {
            "help_s": _median("--help"),
            "status_s": _median("status", "--store", folder),
            "runs": RUNS,
        }


def _median(*words: str) -> float:
    command = [sys.executable, "-m", "famulus.cli", *words]

    def work() -> None:
        subprocess.run(command, check=True, capture_output=True)

    work()
    return statistics.median(seconds(work) for _ in range(TIMES))
