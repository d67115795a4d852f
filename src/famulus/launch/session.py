"""What one command works with, handed on whole to everything that it starts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console

from famulus.store.leases import LEASE_S
from famulus.store.store import Store


@dataclass(frozen=True)
class Session:
    """The store, what the command line allows, and where it speaks.

    `modules`: people's own, from which a task may come. `lease_s`: seconds without a heartbeat
    before a takeover. `debug`: errors of a cell are raised, not reported. `silent`: nothing but
    the result is shown.
    """

    store: Store
    modules: Sequence[str] = ()
    lease_s: float = LEASE_S
    debug: bool = False
    console: Console = field(default_factory=lambda: Console(stderr=True))
    silent: bool = False
