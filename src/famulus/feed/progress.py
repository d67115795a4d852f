"""A bar of progress for what takes minutes: on stderr, and only where that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Gives `show(done, total)`. The bar is gone at the end; stdout stays for results."""
    from rich.console import Console  # slow to import
    from rich.progress import Progress

    console = Console(stderr=True)
    # a log file would fill with frames
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
