"""Do samples follow from (seed, epoch, index) alone, and do their random numbers differ (K19)?"""

from dataclasses import dataclass

from famulus.diagnosis.controls import Control

NAME = "randomness"


@dataclass(frozen=True)
class Drawn:
    """What the same samples looked like, loaded again in several ways; True: bit for bit the same.

    `seed_again`: the same seeds twice. `copies`: two copies of the source, as two worker processes
    have them, under different seeds. `workers`: one stream through 0, 1 and 4 threads.
    `epochs`: two epochs. `within`: one sample four times in one batch, under four seeds.
    """

    seed_again: bool
    copies: bool
    workers: bool
    epochs: bool
    within: bool


def randomness(drawn: Drawn) -> Control:
    figures = dict(vars(drawn))
    remedy = "draw every number in gather or finish from the sample's own seed"
    if not drawn.seed_again and drawn.copies:
        text = "each copy of the source draws the same numbers: workers repeat each other"
        return Control(NAME, "failed", text, remedy, figures, "randomness-repeats")
    if not drawn.epochs and drawn.within:
        text = "all samples of a batch share their random numbers"
        return Control(NAME, "failed", text, remedy, figures, "randomness-repeats")
    if not drawn.seed_again:
        text = "the same sample with the same seed came out differently"
        return Control(NAME, "failed", text, remedy, figures, "not-resumable")
    if not drawn.workers:
        text = "batches depend on the number of loader threads"
        return Control(NAME, "failed", text, remedy, figures, "not-resumable")
    told = "nothing is drawn" if drawn.epochs else "other numbers in another epoch"
    text = f"same seed, same sample, with 0, 1 and 4 threads; {told}"
    return Control(NAME, "ok", text, figures=figures)
