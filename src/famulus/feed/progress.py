"""How far work has come that takes minutes, and notes: on stderr, since stdout is for results.

People's own programs call the same functions: `quietly` keeps the terminal theirs.
"""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

EVERY_S = 10.0  # between two lines; work that is done before the first is not mentioned
# of a context, not of the process: a training in another thread may well be watched
_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Within it nothing is printed: no progress is shown, and a note is a Python warning."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def note(text: str) -> None:
    """A sentence that a person should read beside the result."""
    if _quiet.get():
        warnings.warn(text, stacklevel=2)
    else:
        print(f"note: {text}", file=sys.stderr)


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Gives `show(done, total)`, drawn only where stderr is a terminal, and gone at the end."""
    from rich.console import Console  # slow to import
    from rich.progress import Progress

    console = Console(stderr=True)
    # a log file would fill with frames
    silent = _quiet.get() or not console.is_terminal
    with Progress(console=console, transient=True, disable=silent) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def parts(
    total: int,
    at_once: int,
    what: str,
    say: Callable[[str], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[slice]:
    """Slices of `at_once` that cover `total`; between them now and then a line of what is left.

    Lines, since it is called while a board of cells is drawn: a terminal holds one such drawing.
    """
    say = say or (lambda line: None if _quiet.get() else print(line, file=sys.stderr))
    began = last = clock()
    for start in range(0, total, at_once):
        now = clock()
        if start and now - last >= EVERY_S:
            last = now
            left_s = (now - began) * (total - start) / start
            say(f"{what}: {start:,} of {total:,}, about {left_s:,.0f} s left")
        yield slice(start, min(start + at_once, total))
