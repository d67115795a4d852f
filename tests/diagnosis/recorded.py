"""Real histories, kept small: what rules are judged on.

    python tests/diagnosis/recorded.py STORE RUN NAME     writes histories/NAME.json

All validations, floors, marks and controls are kept, of training logs the first and last few and
an even choice between, of probes a few; numbers to five digits.
"""

import json
import sys
from pathlib import Path
from typing import Any

from famulus.diagnosis.history import History, from_events

FOLDER = Path(__file__).parent / "histories"
KEPT = {"train": 60, "probe": 3}  # events at most; all of other kinds
DROPPED = ("s", "time")
SECTIONS = ("task", "data", "model", "loss", "training")


def recorded(name: str) -> History:
    """The history of that name, as its run's events told it."""
    stored = json.loads((FOLDER / f"{name}.json").read_text())
    return from_events(stored["config"], stored["events"])


def record(config: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """Config and events of a run, shortened."""
    kinds = ("train", "val", "floor", "mark", "facts", "probe", "control")
    kept = []
    for kind in kinds:
        found = [event for event in events if event["kind"] == kind]
        kept += _chosen(found, KEPT.get(kind, len(found)))
    short = [{k: _rounded(v) for k, v in event.items() if k not in DROPPED} for event in kept]
    return {"config": {k: config[k] for k in SECTIONS if k in config}, "events": short}


def _chosen(events: list, most: int) -> list:
    if len(events) <= most:
        return events
    near = max(1, min(5, most // 3))
    middle = events[near:-near]
    count = most - 2 * near
    return [*events[:near], *(middle[i * len(middle) // count] for i in range(count)),
            *events[-near:]]  # fmt: skip


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return value


if __name__ == "__main__":
    from famulus.store.store import Store

    where, run, name = sys.argv[1:]
    found = Store.open(where).find(run)
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(record(found.config(), list(found.curve())))
    (FOLDER / f"{name}.json").write_text(text + "\n")
