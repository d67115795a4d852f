"""Decoded arrays kept between the cells of one process: bounded, the longest unused goes first."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any


class ByteCache:
    """Values by key while their sizes sum to at most `limit` bytes. Safe to share by threads."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> Any | None:
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Remember `value`, unless it alone is over the limit."""
        # It would push out all others, and then itself.
        if size > self.limit:
            return
        with self._lock:
            if key in self._items:
                self.used -= self._items.pop(key)[1]
            self._items[key] = (value, size)
            self.used += size
            while self.used > self.limit:
                self.used -= self._items.popitem(last=False)[1][1]
