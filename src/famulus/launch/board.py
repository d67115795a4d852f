"""Live progress: a line a cell, redrawn on a terminal, printed now and then elsewhere."""

import time
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from famulus.training.loop import Status
from famulus.training.preflight import CostForecast

PLAIN_S = 10.0  # between two printed lines of a cell where nothing can be redrawn
SHOWN = 24  # lines at once; of more cells the finished ones scroll away


def duration(seconds: float) -> str:
    """`2 h 05 min`, `3 min 20 s`, `8 s`."""
    whole = max(0, round(seconds))
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def cost(forecast: CostForecast) -> str:
    """`8 min 20 s, 3,900 MB of memory and 38 MB of disk`."""
    disk = f"{forecast.bytes / 1e6:,.0f} MB of disk"
    if forecast.memory_bytes is None:
        return f"{duration(forecast.seconds)} and {disk}"
    return (
        f"{duration(forecast.seconds)}, {forecast.memory_bytes / 1e6:,.0f} MB of memory and {disk}"
    )


def describe(status: Status, ahead: str = "") -> dict[str, str]:
    """The columns of a running cell's line; `ahead` says where it will end."""
    at = status.progress
    losses = " ".join(f"{name} {value:.4g}" for name, value in status.values.items())
    val = at.scores.get("val/loss")
    return {
        "inputs": f"{min(at.inputs, status.budget):,} of {status.budget:,}",
        "rate": f"{status.rate:,.0f}/s",
        "losses": losses
        + (f" · val {val:.4g}" if val is not None else "")
        + (ahead and f" · {ahead}"),
        "left": f"{duration(status.left_s)} left",
        "wait": f"{status.wait:.1%} waiting for data",
        **({} if status.watts is None else {"power": f"{status.watts:,.0f} W"}),
    }


class Board:
    """Shows what cells do. Also usable silently, for --json."""

    def __init__(self, console: Console, silent: bool = False) -> None:
        self.console, self.silent = console, silent
        self.lines: dict[str, dict[str, str]] = {}
        self.printed: dict[str, float] = {}
        redraw = console.is_terminal and not silent
        self.live = Live(console=console, refresh_per_second=4) if redraw else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.update(self._table())
            self.live.stop()

    def say(self, text: str) -> None:
        """A sentence above the lines."""
        if not self.silent:
            # Brackets in a text are no markup.
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def running(self, cell: str, status: Status, ahead: str = "") -> None:
        self._show(cell, describe(status, ahead), now=False)

    def state(self, cell: str, text: str) -> None:
        """A cell that doesn't run: done, waiting for another process, failed and why."""
        self._show(cell, {"losses": text}, now=True)

    def _show(self, cell: str, columns: dict[str, str], now: bool) -> None:
        self.lines[cell] = columns
        if self.silent:
            return
        if self.live:
            self.live.update(self._table())
        elif now or time.monotonic() - self.printed.get(cell, 0.0) > PLAIN_S:
            self.printed[cell] = time.monotonic()
            text = " · ".join(columns.values())
            self.console.print(f"{cell}  {text}", markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for column in ("cell", "inputs", "rate", "losses", "left", "wait", "power"):
            table.add_column(column, no_wrap=column != "losses")
        for cell, columns in list(self.lines.items())[-SHOWN:]:
            keys = ("inputs", "rate", "losses", "left", "wait", "power")
            table.add_row(Text(cell), *(Text(columns.get(key, "")) for key in keys))
        return table
