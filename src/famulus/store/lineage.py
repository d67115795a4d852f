"""Where a run comes from: its parents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from famulus.config.errors import StoreError

if TYPE_CHECKING:
    from famulus.store.run import Run

CONTINUED = ("resume", "extend")  # kinds of parent that are drawn as one curve with the child
DEEPEST = 100  # parents of parents; more is a circle


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


def parent_of(run: Run) -> tuple[Run, dict[str, Any]] | None:
    """The run that `run` was made from, and the record of it; None without, or if it is gone."""
    record = run.lineage().get("parent")
    if not isinstance(record, dict):
        return None
    try:
        parent = run.store.run(record["experiment"], record["slug"], record["id"])
    except (StoreError, KeyError):
        return None
    return parent, record


def curve(run: Run) -> Iterator[dict[str, Any]]:
    """Events of `run`, before them those of the runs it continues, each up to its checkpoint."""
    chain: list[tuple[Run, dict[str, Any]]] = []
    current = run
    while len(chain) < DEEPEST and (found := parent_of(current)) is not None:
        if found[1].get("kind") not in CONTINUED:
            break
        chain.append(found)
        current = found[0]
    for parent, record in reversed(chain):
        yield from parent.line_to(int(record["attempt"]), int(record["segments"]))
    yield from run.events()
