"""What runs stand on: the run that one goes on from, or those of an earlier stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from famulus.journal.facts.record import Record


@dataclass(frozen=True)
class Edge:
    """A run that stands on another: resumed, extended, warm start, or a second stage."""

    child: str  # experiment/slug-id or id
    parent: str
    kind: str
    checkpoint: str = ""


def lineage_of(record: Record) -> list[Edge]:
    """What a run stands on, as its lineage says."""
    edges = []
    if record.parent:
        parent, at = record.parent, record.parent.get("checkpoint")
        edges.append(Edge(record.id, str(parent["run"]), parent["kind"], _checkpoint(at)))
    # the first attempt's: later ones stand on the same runs
    for line in record.lineage[:1]:
        parents = line.get("parents")
        for name, one in parents.items() if isinstance(parents, Mapping) else ():
            run = one.get("run") if isinstance(one, Mapping) else one
            at = one.get("checkpoint") if isinstance(one, Mapping) else None
            edges.append(Edge(record.id, str(run), str(name), _checkpoint(at)))
    return edges


def _checkpoint(at: Any) -> str:
    at = at.get("step") if isinstance(at, Mapping) else at
    return "" if at is None else str(at)
