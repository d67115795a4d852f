"""Validation samples that are in training, too: one count and one sentence, whoever counted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Copies:
    """Of `of` validation samples `exact` are also in training, `near` more are nearly so.

    against: samples of training. example: one of them, (training index, validation index).
    """

    exact: int
    near: int
    of: int
    against: int
    example: tuple[int, int] | None = None

    @property
    def all(self) -> int:
        return self.exact + self.near

    def sentence(self, what: str = "samples") -> str:
        """Both counts at once: exact copies are near-duplicates, too."""
        if not self.all:
            return f"none of {self.of:,} validation {what} is in training, exactly or nearly"
        whole = f"{self.all:,} of {self.of:,} validation {what}"
        if not self.near:
            return f"{whole} {_are_copies(self.all)} of training {what}"
        exact = (
            f"{self.exact:,} of them {_are_copies(self.exact)}" if self.exact else "none is exact"
        )
        return f"{whole} {'has' if self.all == 1 else 'have'} a near-duplicate in training; {exact}"


def _are_copies(count: int) -> str:
    return "is an exact copy" if count == 1 else "are exact copies"


class CopyNote(str):
    """A note that says so, with the counts."""

    copies: Copies

    @classmethod
    def of(cls, copies: Copies, more: str) -> "CopyNote":
        note = cls(f"{copies.sentence('pictures')}{more}")
        note.copies = copies
        return note
