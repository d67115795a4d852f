"""Does `famulus watch` name the fault of a script that knows nothing of it?

Twelve scripts of `scripts/`, written in the styles that people write, are watched as they are and
with the fault that `scripts/faults.yaml` plants in each. A fault is named first if the first
finding of the first run with a grave finding (warning or error) has one of its right causes. A
sound script is accused by every grave finding. Eight more, `scripts/held_out/`, are judged in the
same way: they were written by someone who had not read the rules, and no rule is fitted to them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from famulus.config import yaml

FOLDER = Path(__file__).parent / "scripts"
HELD_OUT = FOLDER / "held_out"
GRAVE = ("warning", "error")
CONTROLS_STEPS = 6000
LIMIT_S = 300.0  # of one script, which alone takes some 8 s


@dataclass(frozen=True)
class Fault:
    """script: its name without .py, in `folder`. causes: each is right. seen: figures of both."""

    folder: Path
    script: str
    before: str
    after: str
    causes: tuple[str, ...]
    why: str
    seen: str

    @property
    def path(self) -> Path:
        return self.folder / f"{self.script}.py"

    def planted(self, text: str) -> str:
        """The faulty script. Raises ValueError unless `before` stands in `text` exactly once."""
        if (times := text.count(self.before)) != 1:
            raise ValueError(f"{self.script}: expected its text once, received {times} times")
        return text.replace(self.before, self.after)


def faults(folder: Path = FOLDER) -> list[Fault]:
    file = folder / "faults.yaml"
    entries = yaml.load(file.read_text(encoding="utf-8"), str(file)).value
    return [_fault(folder, **entry) for entry in entries]


def _fault(folder: Path, cause: str | list[str], **fields: str) -> Fault:
    causes = (cause,) if isinstance(cause, str) else tuple(cause)
    return Fault(folder=folder, causes=causes, **fields)


def scripts(only: Collection[str] = (), folder: Path = FOLDER) -> list[dict[str, Any]]:
    """A row for each script of `folder`, or those named in `only`: see `row`. Takes minutes."""
    chosen = [fault for fault in faults(folder) if not only or fault.script in only]
    with ThreadPoolExecutor(max_workers=2) as pool:  # each is a process with one thread
        return list(pool.map(_watch, chosen))


def _watch(fault: Fault) -> dict[str, Any]:
    start = time.perf_counter()
    sound = fault.path.read_text(encoding="utf-8")
    before = _report(fault.path.name, sound)
    after = _report(fault.path.name, fault.planted(sound))
    return row(fault, before, after, time.perf_counter() - start)


def _report(name: str, text: str) -> dict[str, Any]:
    """What `famulus watch --json` says of a script of that text, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / name
        script.write_text(text, encoding="utf-8")
        watch = [sys.executable, "-m", "famulus.cli", "watch", "--store", f"{folder}/store"]
        watch += ["--controls-steps", str(CONTROLS_STEPS)]  # and not the clock of a busy machine
        process = subprocess.run(
            [*watch, "--json", str(script)],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    try:
        report = dict(json.loads(process.stdout))
    except json.JSONDecodeError:
        report = {}
    if "runs" not in report:  # no such command, or a refusal, which is JSON too
        output = f"{process.stdout!r}\n{process.stderr[-2000:]}"
        raise RuntimeError(f"{name}: expected a JSON object with runs, received {output}")
    return report


def row(
    fault: Fault, sound: Mapping[str, Any], faulty: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """The judgement of one script.

    sound, faulty: the JSON of `famulus watch`. named: the first grave cause of the faulty script.
    first: `named` is right. among: some grave cause of any run is. accused: grave causes of the
    sound script. seconds: wall clock of both.
    """
    causes = [cause for run in _grave(faulty) for cause in run]
    return {
        "script": fault.script,
        "cause": " | ".join(fault.causes),
        "named": causes[0] if causes else "",
        "first": bool(causes) and causes[0] in fault.causes,
        "among": any(cause in fault.causes for cause in causes),
        "accused": [cause for run in _grave(sound) for cause in run],
        "seconds": round(seconds, 1),
    }


def _grave(report: Mapping[str, Any]) -> list[list[str]]:
    """Causes of each run's grave findings, in their order."""
    return [
        [finding["cause"] for finding in run["findings"] if finding["severity"] in GRAVE]
        for run in report["runs"]
    ]


def figures(
    rows: Sequence[Mapping[str, Any]], held_out: Sequence[Mapping[str, Any]] = ()
) -> dict[str, int]:
    """rows: of `FOLDER`. held_out: of `HELD_OUT`; without them there are no `held_out_...` keys."""
    right, total, accused = _counts(rows)
    counts = {"scripts_right_first": right, "scripts_total": total, "sound_accused": accused}
    if held_out:
        right, total, accused = _counts(held_out)
        counts |= {
            "held_out_right_first": right, "held_out_total": total, "held_out_accused": accused
        }  # fmt: skip
    return counts


def _counts(rows: Sequence[Mapping[str, Any]]) -> tuple[int, int, int]:
    """How many faults are named first, of how many scripts, how many of which are accused."""
    right = sum(bool(row["first"]) for row in rows)
    return right, len(rows), sum(bool(row["accused"]) for row in rows)
