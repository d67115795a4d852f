"""One expectation of an experiment's file: what was expected, what came, when it was written."""

from collections.abc import Mapping
from dataclasses import dataclass

from famulus.journal.facts.numbers import plain

MET, BROKEN, OPEN, UNJUDGED = "met", "not met", "not judged yet", "can't be judged"
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class Expectation:
    """What was expected, what came of it, the figure that says so, and when it was written."""

    says: str
    state: str  # met | not met | not judged yet | can't be judged
    measured: str  # or why it can't be judged
    date: str = ""  # day on which it first stood in the file, '' unknown
    written: str = ""  # before or after the first result; '' without a result
    withdrawn: str = ""  # day on which it left the file, after a result

    @property
    def when(self) -> str:
        """'written before the first result (2026-11-20)'."""
        if not (self.date or self.written):
            return ""
        day = f" ({self.date})" if self.date else ""
        if self.written == AFTER:
            words = f"written after the result{day}: a regression band, not a prediction"
        elif self.written == BEFORE:
            words = f"written before the first result{day}"
        else:
            words = f"written {self.date}"
        return words + (f"; withdrawn {self.withdrawn}" if self.withdrawn else "")


def scope(where: Mapping | None) -> str:
    return ", ".join(f"{k} {plain(v)}" for k, v in (where or {}).items())


def waiting(complete: bool, what: str) -> tuple[str, str]:
    """Nothing to judge by: open while cells are under way; after that nothing will come."""
    return (UNJUDGED, what) if complete else (OPEN, what)
