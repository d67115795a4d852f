"""Where a run comes from: its parents, and the code, data and machine that made it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from famulus.store import provenance
from famulus.store.run import Run


def collect(
    parent: dict[str, Any] | None = None,
    overrides: Sequence[str] = (),
    fingerprint: str | None = None,
    folder: str | Path = ".",
    argv: list[str] | None = None,
    module: str = "__main__",
) -> dict[str, Any]:
    """What `Attempt.record_lineage` takes: facts, gathered before the first step.

    `folder`: the working directory, whose checkout is recorded (`code`), as is that of Famulus
    itself (`famulus`). `module`: whose code is trained, if it is a person's own (`own`). Takes some
    50 ms where there is a checkout.
    """
    famulus = provenance.source()
    code = provenance.code(folder)
    checkout = famulus["checkout"]
    # Stored once: a diff may be a megabyte.
    if code and checkout and code["folder"] == checkout["folder"]:
        famulus["checkout"] = {"folder": code["folder"], "commit": code["commit"], "same": True}
    return {
        "parent": parent,
        "overrides": list(overrides),
        "data": fingerprint,
        "command": provenance.command(argv),
        "code": code,
        "famulus": famulus,
        "own": provenance.own_code(module),
        "packages": provenance.packages(),
        "machine": provenance.machine(),
    }


def stale(recorded: dict[str, Any], source: dict[str, Any] | None = None) -> bool | None:
    """Whether Famulus's code changed since `recorded` was; None if that is not known."""
    before = (recorded.get("famulus") or {}).get("sha256")
    if before is None:
        return None
    return before != (source or provenance.source())["sha256"]


def parent_record(parent: Run, step: int, kind: str) -> dict[str, Any]:
    """What a child's lineage holds under `parent`; kind: resume, extend or warm_start.

    It stays true after the parent's checkpoint was pruned.
    """
    manifest = parent.manifest(step)
    return {
        "kind": kind,
        "experiment": parent.experiment,
        "slug": parent.slug,
        "id": parent.id,
        "step": step,
        "attempt": manifest["attempt"],
        "segments": manifest["segments"],
        "sha256": {name: entry["sha256"] for name, entry in manifest["files"].items()},
    }
