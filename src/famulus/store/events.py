"""Events of a run: JSON lines in immutable segments, and the one line that readers see.

A checkpoint names the attempt that wrote it and how many segments that attempt had written by
then. An attempt's *origin* is that pair of the checkpoint from which it started. The visible line
is the last attempt's events, before them its origin's up to the checkpoint, and so on: no step is
seen twice, and what a dead attempt did after its last checkpoint disappears once a successor
starts. Not-a-number and infinities are written as Python's json writes them: NaN, Infinity.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from famulus.store.records import plain
from famulus.store.secrets import masked

Origin = tuple[int, int]  # (attempt, segments it had written)


def visible(origins: Mapping[int, Origin | None], last: int) -> list[tuple[int, int | None]]:
    """[(attempt, segments visible of it; None for all)], oldest first, that lead to `last`.

    `origins` maps each attempt to its origin, None where it started fresh. An origin that is not
    older than its attempt is damage, and ends the line there.
    """
    line: list[tuple[int, int | None]] = [(last, None)]
    n = last
    while (origin := origins.get(n)) is not None and origin[0] < n:
        line.append(origin)
        n = origin[0]
    return line[::-1]


def encode(events: list[dict[str, Any]]) -> bytes:
    """One line an event, without secrets. NumPy and torch scalars become numbers."""
    # compact: a run has tens of thousands of them
    lines = (json.dumps(masked(e), default=plain, separators=(",", ":")) + "\n" for e in events)
    return "".join(lines).encode()


def decode(data: bytes) -> Iterator[dict[str, Any]]:
    """Events of one segment. A line that is torn or no event is left out."""
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:  # UnicodeDecodeError is one
            continue
        if isinstance(event, dict) and "kind" in event:
            yield event
