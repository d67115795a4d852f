"""Bare records and groups, without a store, for tests of pure functions."""

from famulus.journal.facts.group import Group
from famulus.journal.facts.record import Record


def record(axes=None, score=None, status="finished", replicate=1, **more) -> Record:
    done = {"scores": {"val/loss": score}} if score is not None else {}
    known = {"run": None, "id": f"{abs(hash((str(axes), replicate))):012x}"[:12], "slug": "cell"}
    known |= {"experiment": "e", "config": {"training": {"seed": replicate}}, "status": status}
    known |= {"done": done, "axes": dict(axes or {}), "replicate": replicate}
    return Record(**(known | more))


def group(axes, *scores, status="finished", findings=(), key=0) -> Group:
    """One cell, a replicate a score; a score of None is a run without one."""
    runs = [
        record(axes, s, status, n, findings=list(findings)) for n, s in enumerate(scores, start=1)
    ]
    return Group(key, dict(axes), runs)
