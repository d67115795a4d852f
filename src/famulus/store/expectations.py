"""When each expectation of an experiment's file first stood there, and what was known by then.

A record: {"entry", "sha256", "time", "results": ids of the experiment's runs that had a result by
then}, and "withdrawn": when it left the file, of one that left after a result.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = dict[str, Any]


def digest(entry: Mapping[str, Any]) -> str:
    """Equal for entries that say the same, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True, default=str).encode()).hexdigest()


def dated(
    before: Iterable[Record],
    entries: Iterable[Mapping[str, Any]],
    results: Sequence[str],
    time: str,
) -> list[Record]:
    """Records of a new plan: those of `entries` in their order, then what was withdrawn.

    An entry keeps its first date. One that was changed is another one, and what it was before stays
    on record as withdrawn, unless nothing had come of the runs yet.
    """
    known = {record["sha256"]: record for record in before}
    records = []
    for entry in entries:
        key = digest(entry)
        first = known.pop(key, None) or {"time": time, "results": list(results)}
        kept = {"entry": dict(entry), "sha256": key}
        records.append({**kept, "time": first["time"], "results": first["results"]})
    gone = [record for record in known.values() if results or "withdrawn" in record]
    return records + [{"withdrawn": time, **record} for record in gone]
