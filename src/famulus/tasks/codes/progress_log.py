"""A line now and then about work that takes long, on stderr: it must not mix with what is asked."""

import sys
import time
from collections.abc import Callable, Iterator

EVERY_S = 10.0  # between two lines; work that is done before the first is not mentioned


def told(
    total: int,
    at_once: int,
    what: str,
    say: Callable[[str], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[slice]:
    """Slices of `at_once` that cover `total`; between them, `what: n of total, s left`."""
    say = say or (lambda line: print(line, file=sys.stderr))
    began = last = clock()
    for start in range(0, total, at_once):
        now = clock()
        if start and now - last >= EVERY_S:
            last = now
            left_s = (now - began) * (total - start) / start
            say(f"{what}: {start:,} of {total:,}, about {left_s:,.0f} s left")
        yield slice(start, min(start + at_once, total))
