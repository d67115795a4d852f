"""Sentences of a page, and which part of one is set in bold."""


class Strong(str):
    """A part of a sentence that is set in bold: a figure worth seeing first."""

    __slots__ = ()


Sentence = list[str]  # parts, some of them Strong


def score_name(score: str) -> str:
    """'validation loss' for val/loss, 'validation psnr' for val/psnr."""
    return score.replace("val/", "validation ")
