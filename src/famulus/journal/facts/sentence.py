"""Sentences of a page, and which part of one is set in bold."""


class Strong(str):
    """A part of a sentence that is set in bold: a figure worth seeing first."""

    __slots__ = ()


Sentence = list[str]  # parts, some of them Strong


def score_name(score: str) -> str:
    """'validation loss' for val/loss, 'validation psnr' for val/psnr."""
    return score.replace("val/", "validation ")


def opening(subject: str) -> str:
    """'All 24 cells' and 'The run' as they begin a sentence; the name of an axis stays as it is."""
    begins = subject in ("the run", "both cells") or subject.startswith("all ")
    return subject[:1].upper() + subject[1:] if begins else subject
