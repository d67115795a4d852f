"""`famulus check FILE`: minutes before a night. What can be known of an experiment beforehand."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import torch

from famulus.config.errors import FamulusError
from famulus.diagnosis.controls.bench import Check, Control
from famulus.diagnosis.controls.order import CHECKS, FIRST
from famulus.feed.copies import CopyNote
from famulus.launch.board import duration
from famulus.launch.local import choose_device
from famulus.launch.plan import Ready
from famulus.launch.trial import Trial
from famulus.training.randomness import Streams

BUDGET_S = 120.0
FAIR = 0.1  # of the time that is left, to whoever comes next

Watch = Callable[[str, float], None]  # what runs now, and seconds since the start


def check(
    cells: Sequence[Ready], budget_s: float = BUDGET_S, watch: Watch = lambda name, s: None
) -> Iterator[Control]:
    """What it will cost; data of every cell; the other controls of the first one, by their cost."""
    began = time.monotonic()
    watch("data", 0.0)
    device, warning = choose_device(cells[0].training.device)
    known = [
        Control("settings", "ok", f"{len(cells)} cells, each checked against the schema"),
        *_data(cells),
        Control("device", "warning" if warning else "ok", warning or f"training on {device}"),
    ]
    spent = time.monotonic() - began
    rest = max(budget_s - spent, budget_s / 2)  # reading data must not be all that is done
    following = controls(cells[0], rest, watch=watch, cells=len(cells))
    try:
        yield next(following)
    except FamulusError:  # data that can't be read forecast nothing: what is known says why
        yield from known
        raise
    yield from known
    yield from following


def controls(
    cell: Ready,
    budget_s: float = BUDGET_S,
    only: Collection[str] = (),
    watch: Watch = lambda name, s: None,
    cells: int = 1,
) -> Iterator[Control]:
    """The controls of one cell, the forecast first, then by their cost; those that find no time
    come as skipped.

    `only`: their names; all if empty. Nothing is stored, and torch's random streams and threads
    are left as they were.
    """
    device, _ = choose_device(cell.training.device)
    began = time.monotonic()
    names = [c.name for c in CHECKS]
    unknown = set(only) - set(names)
    if unknown:
        raise ValueError(f"expected controls among {names}, received {unknown}")
    with (
        Streams(cell.training.seed, device).isolated(),
        threads(cell.training.threads),
        contextlib.closing(Trial(cell, device, cells)) as trial,
    ):
        queue = [c for c in CHECKS if not only or c.name in only]
        # whether to start at all is asked before anything else
        queue.sort(key=lambda c: (c is not FIRST, c.wanted(trial)))
        while queue:
            turn = queue.pop(0)
            rest = budget_s - (time.monotonic() - began)
            least = turn.least(trial)
            if least > rest or rest <= 0:
                yield _not_run(turn, turn.wanted(trial), rest)
                continue
            # What is left beyond the least of everybody is shared out evenly.
            spare = rest - least - sum(c.least(trial) for c in queue)
            share = least + max(0.0, spare) / max(1, len(queue)) if queue else rest
            watch(turn.name, time.monotonic() - began)
            limit_s = min(turn.wanted(trial), max(share, FAIR * rest))
            yield from _guarded(turn.name, turn.run(trial, limit_s))


def _guarded(name: str, controls: Iterable[Control]) -> Iterator[Control]:
    """What a check says; one whose judgement breaks is named, and the others go on."""
    try:
        yield from controls
    except (ArithmeticError, LookupError, ValueError) as error:
        if isinstance(error, FamulusError):
            raise
        yield Control(name, "failed", f"it broke: {type(error).__name__}: {error}")


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """torch's CPU threads, as before afterwards."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _not_run(check: Check, wanted: float, rest: float) -> Control:
    text = f"not run: takes about {duration(wanted)}, {duration(rest)} of the budget are left"
    return Control(check.name, "skipped", text, "a larger --budget, in seconds")


def _data(cells: Sequence[Ready]) -> Iterator[Control]:
    seen = set()
    for cell in cells:
        if cell.data.fingerprint in seen:
            continue
        seen.add(cell.data.fingerprint)
        try:
            text = (
                f"{cell.slug}: {len(cell.data.train):,} training and"
                f" {len(cell.data.validation):,} validation samples"
            )
        except FamulusError as error:
            yield Control("data", "failed", f"{cell.slug}: {error}")
            continue
        yield Control("data", "ok", text)
        for note in cell.data.notes:
            if isinstance(note, CopyNote):
                continue  # the check for duplicates says it
            yield Control("data", "warning", f"{cell.slug}: {note}")
