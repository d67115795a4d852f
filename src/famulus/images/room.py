"""Pictures decoded by threads, in order, in bounded memory: a large one waits for room."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Condition
from typing import TypeVar

T = TypeVar("T")
BYTES = 256 << 20  # of pictures being decoded, or decoded and not yet taken
AHEAD = 64  # results that may wait to be taken


class Room:
    """At most `limit` bytes are taken at once, or one share alone that is larger."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self.changed = Condition()

    def take(self, size: int, at_once: Callable[[], bool] = lambda: False) -> None:
        """Wait until there is room for `size` bytes, or until `at_once` says not to."""
        with self.changed:
            self.changed.wait_for(
                lambda: not self.used or self.used + size <= self.limit or at_once()
            )
            self.used += size

    def give(self, size: int) -> None:
        with self.changed:
            self.used -= size
            self.changed.notify_all()

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """A function that takes bytes, which are given back at the end."""
        held: list[int] = []

        def take(size: int) -> None:
            self.take(size)
            held.append(size)

        try:
            yield take
        finally:
            self.give(sum(held))


def in_order(
    work: Callable[[str, Callable[[int], None]], T], names: Sequence[str], threads: int
) -> Iterator[T]:
    """`work(name, take)` for each name, in order; it calls `take(bytes)` before it needs them.

    The one whose turn it is never waits, so that none waits for ever.
    """
    room, turn, closed = Room(BYTES), 0, False
    held = [0] * len(names)

    def one(index: int) -> T:
        def take(size: int) -> None:
            held[index] = size
            room.take(size, lambda: closed or index == turn)

        return work(names[index], take)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    pending: deque[Future[T]] = deque()
    following = count()
    try:
        while True:
            while len(pending) < AHEAD and (index := next(following)) < len(names):
                pending.append(pool.submit(one, index))
            if not pending:
                return
            yield pending.popleft().result()
            # after it was used: what the consumer still holds is memory, too
            room.give(held[turn])
            with room.changed:
                turn += 1
                room.changed.notify_all()
    finally:
        with room.changed:
            closed = True
            room.changed.notify_all()
        pool.shutdown(wait=True, cancel_futures=True)
