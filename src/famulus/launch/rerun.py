"""A run repeated from its record: same settings, same data, same code; then the curves compared.

Code that has changed since is checked out at the recorded commit, with the recorded differences,
into a temporary folder, and the repetition runs there in a process of its own.
"""

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from famulus.config.errors import ConfigError, StoreError
from famulus.store import provenance
from famulus.store.run import Run


def rerun_with_recorded_code(run: Run, store_root: str, arguments: Sequence[str]) -> int:
    """Exit code of `famulus rerun` in a checkout of the recorded code.

    Raises ConfigError where the record or this checkout does not hold that code.
    """
    record = run.lineage()
    checkout = (record.get("famulus") or {}).get("checkout") or {}
    code = record.get("code") or {} if checkout.get("same") else checkout
    commit, folder = code.get("commit"), Path(provenance.__file__).parent
    hint = "add --current-code to repeat it with the code of today"
    if not commit:
        raise ConfigError(f"run {run.id} recorded no commit of Famulus's code; {hint}")
    if not code.get("complete", True):
        raise ConfigError(f"run {run.id}: its uncommitted changes were too large to record; {hint}")
    with tempfile.TemporaryDirectory(prefix="famulus-rerun-") as temporary:
        tree = Path(temporary) / "code"
        add = ["git", "-C", str(folder), "worktree", "add", "--detach", str(tree), commit]
        if subprocess.run(add, capture_output=True, check=False).returncode:
            raise ConfigError(
                f"commit {commit[:12]} of run {run.id} is not in this checkout; {hint}"
            )
        try:
            if code.get("diff"):
                _apply(tree, code["diff"], run)
            # The record must be the whole of the code: files that git did not track are in no diff.
            if provenance.digest(tree / "src" / "famulus") != record["famulus"]["sha256"]:
                raise ConfigError(
                    f"run {run.id}: its commit with its recorded changes is not the code that it"
                    f" ran, which had files that git did not track; {hint}"
                )
            # first on the path: the installed package is the code of today
            environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
            command = [sys.executable, "-m", "famulus.cli", "rerun", run.id, "--current-code"]
            command += ["--store", store_root, *arguments]
            return subprocess.run(command, env=environment, check=False).returncode
        # By git: it would go on listing a work tree that was only deleted.
        finally:
            remove = ["git", "-C", str(folder), "worktree", "remove", "--force", str(tree)]
            subprocess.run(remove, capture_output=True, check=False)


def _apply(tree: Path, diff: str, run: Run) -> None:
    done = subprocess.run(
        ["git", "-C", str(tree), "apply", "--whitespace=nowarn", "-"],
        input=diff.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise StoreError(f"run {run.id}: its recorded changes do not fit its recorded commit")


def compare_curves(before: Run, after: Run) -> dict[str, Any]:
    """Largest relative difference of every curve (val/loss, train/total) over shared positions.

    Two values that are both not a number are the same; one alone differs infinitely.
    """
    old, new = _points(before), _points(after)
    shared = old.keys() & new.keys()
    worst: dict[str, float] = {}
    for name, inputs in sorted(shared):
        value, other = old[name, inputs], new[name, inputs]
        worst[name] = max(worst.get(name, 0.0), _difference(value, other))
    return {
        "points": len(shared),
        "identical": bool(shared) and old.keys() == new.keys() and not any(worst.values()),
        "largest_relative_difference": worst,
    }


def _points(run: Run) -> dict[tuple[str, int], float]:
    return {
        (f"{event['kind']}/{name}", event["inputs"]): value
        for event in run.events()
        if event["kind"] in ("train", "val")
        for name, value in event["values"].items()
    }


def _difference(a: float, b: float) -> float:
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    difference = abs(a - b) / max(abs(a), abs(b))
    # a NaN beside a number must not pass as 0
    return difference if math.isfinite(difference) else math.inf
