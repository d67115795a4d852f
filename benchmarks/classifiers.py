"""Does the doctor name what is wrong with small training programs, and leave sound ones alone?

26 faulty programs and their repairs (`reference_classifiers`), each a plain loop watched by
`famulus.Monitor`. Half of them could be looked at while the rules were written, half not.
"""

import json
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.reference_classifiers import PAIRS, SEED, Pair, train
from famulus import Monitor
from famulus.diagnosis.history import Finding

CONTROLS_S = 120.0  # so that no trial is cut short by other work of the machine
QUICK = (1, 9, 35, 51, 3, 19, 25, 31)  # numbers: four of each half
NAMES = {  # kinds of fault, as the published list has them -> causes that name them
    "act": ("activation-twice", "output-activation", "no-hidden-activation", "vanishing-gradient",
            "saturated-units"),
    "loss": ("loss-does-not-fit-output", "loss-unbounded"),
    "lr": ("rate-too-high", "rate-too-low", "rate-cannot-reach"),
    "opt": ("optimizer-choice",),
    "epoch": ("too-few-epochs",),
    "init": ("initialisation",),
    "batch": ("batch-size",),
    "prep": ("input-out-of-range",),
    "layers": (),  # of which nothing here speaks
}  # fmt: skip
TOOLS = ("umlaut", "autotrainer", "deeplocalize", "deepfd")
LIST = "training-failures.json"  # in FAMULUS_DATA


def measure(quick: bool) -> dict[str, Any]:
    """Counts for each half, the rows they come from, and the published tools' counts."""
    chosen = [p for p in PAIRS if not quick or p.no in QUICK]
    rows = list(judged(chosen))
    figures: dict[str, Any] = {}
    for half in ("develop", "held_out"):
        own = [r for r in rows if r["half"] == half]
        figures |= {f"{half}_{key}": value for key, value in counts(own).items()}
    return figures | published() | {"programs": rows}


def judged(
    pairs: Iterable[Pair], kinds: Iterable[str] = ("faulty", "sound"), seed: int = SEED
) -> Iterator[dict[str, Any]]:
    """One row a program."""
    with tempfile.TemporaryDirectory() as store:
        for pair in pairs:
            for kind in kinds:
                watch = partial(Monitor, store=store, controls_s=CONTROLS_S)
                with warnings.catch_warnings(record=True) as told:
                    monitor = train(getattr(pair, kind), watch, seed)
                found = monitor.findings()
                yield {
                    "no": pair.no,
                    "half": "develop" if pair.develop else "held_out",
                    "kind": kind,
                    "seed": seed,
                    "faults": list(pair.faults) if kind == "faulty" else [],
                    "found": [f.cause for f in found if f.severity != "info"],
                    "right": right(found, pair.faults),
                    "warnings": [str(w.message) for w in told],
                }


def right(found: list[Finding], faults: Iterable[str]) -> list[bool]:
    """For each finding of weight, whether it names one of the faults."""
    names = {cause for fault in faults for cause in NAMES[fault]}
    return [f.cause in names for f in found if f.severity != "info"]


def counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    faulty = [r for r in rows if r["kind"] == "faulty"]
    sound = [r for r in rows if r["kind"] == "sound"]
    return {
        "faulty": len(faulty),
        "detected": sum(bool(r["found"]) for r in faulty),
        "named": sum(any(r["right"]) for r in faulty),
        "named_first": sum(r["right"][:1] == [True] for r in faulty),
        "sound": len(sound),
        "accused": sum(bool(r["found"]) for r in sound),
    }


def published() -> dict[str, Any]:
    """What four tools detected and named of the 26 original programs; a reason without the list."""
    path = Path(os.environ.get("FAMULUS_DATA", "")) / LIST
    if not os.environ.get("FAMULUS_DATA") or not path.exists():
        return {"published": None, "why": f"FAMULUS_DATA holds no {LIST}"}
    programs = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, Any] = {"published": len(programs)}
    for tool in TOOLS:
        found[f"{tool}_detected"] = sum(p["detected"][tool] for p in programs)
        found[f"{tool}_named"] = sum(p["diagnosed"][tool] for p in programs)
    return found
