"""Is the doctor right about programs that its rules were not written for?

`benchmarks.programs`: families of small training programs in the form that people write, each with
sound variants and with variants that have one fault, and the causes that would name it, in three
parts (`frame.halves`). `--quick`: one seed of every other variant.

    python -m benchmarks.diagnoses develop|held_out|second [FAMILY...]

prints what is found of each program of a part, one line of JSON a program.
"""

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from benchmarks.programs.frame import Family, families, halves
from famulus import Monitor

SEEDS = (1, 2, 3)  # of sound programs; faulty ones run with the first
PARTS = ("develop", "held_out", "second")


def measure(quick: bool) -> dict[str, Any]:
    """Counts for each part, those of losses of one's own beside them, and the rows."""
    rows = [row for part in PARTS for row in judged(part, quick=quick)]
    figures: dict[str, Any] = {}
    for part in PARTS:
        mine = [r for r in rows if r["part"] == part]
        figures |= {f"{part}_{key}": value for key, value in counts(mine).items()}
        own = [r for r in mine if r["loss"] == "own"]
        figures |= {f"{part}_own_{key}": value for key, value in counts(own).items()}
    return figures | {"programs": rows}


def of_part(part: str) -> list[Family]:
    every = families()
    names = halves(every)[part]
    return [family for family in every if family.name in names]


def judged(part: str, names: Iterable[str] = (), quick: bool = False) -> Iterator[dict[str, Any]]:
    """One row a program and seed."""
    for family in of_part(part):
        if names and family.name not in names:
            continue
        faulty = list(family.faults)[:: 2 if quick else 1]
        sound = list(family.sound)[:: 2 if quick else 1]
        for variant in faulty:
            yield row(family, part, variant, SEEDS[0])
        for variant in sound:
            for seed in SEEDS[:1] if quick else SEEDS:
                yield row(family, part, variant, seed)


def row(family: Family, part: str, variant: str, seed: int) -> dict[str, Any]:
    opened = []

    def watch(model: torch.nn.Module, optimizer: Any, **options: Any) -> Monitor:
        opened.append(Monitor(model, optimizer, store=store, **options))
        return opened[-1]

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as store, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        outcome = family.run(watch, seed, variant)
        found = [f for monitor in opened for f in monitor.findings()]
    grave = [f for f in found if f.severity != "info"]
    right = family.faults.get(variant, ())
    return {
        "family": family.name,
        "part": part,
        "kind": family.kind,
        "loss": family.loss,
        "variant": variant,
        "seed": seed,
        "faulty": variant in family.faults,
        "score": outcome.score,
        "good": outcome.good,
        "right": list(right),
        "found": [f.cause for f in grave],
        "remarks": [f.cause for f in found if f.severity == "info"],
        "evidence": [f.evidence for f in grave],
        "monitor": [str(w.message) for w in told if "Monitor" in str(w.message)],
        "s": round(time.perf_counter() - began, 1),
    }


def counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    faulty = [r for r in rows if r["faulty"]]
    sound = [r for r in rows if not r["faulty"]]
    return {
        "faulty": len(faulty),
        "detected": sum(bool(r["found"]) for r in faulty),
        "named": sum(bool(set(r["found"]) & set(r["right"])) for r in faulty),
        "named_first": sum(bool(r["found"]) and r["found"][0] in r["right"] for r in faulty),
        "sound": len(sound),
        "accused": sum(bool(r["found"]) for r in sound),
    }


def main(part: str, *names: str) -> int:
    if part not in PARTS:
        print(f"expected one of {', '.join(PARTS)}, received {part}", file=sys.stderr)
        return 2
    rows = []
    for found in judged(part, names):
        rows.append(found)
        print(json.dumps(found), flush=True)
    print(json.dumps(counts(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or [""])))
