"""Ctrl-C and SIGTERM ask for a stop at the next step; a second Ctrl-C stops at once."""

import signal
import threading
from types import FrameType
from typing import Any, Self


class Interrupt:
    """As a context manager it takes the two signals over; `reason()` is None until one came."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._before: dict[int, Any] = {}

    def reason(self) -> str | None:
        return self._reason

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python refuses
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._reason is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._reason = signal.Signals(number).name
