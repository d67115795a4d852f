"""What several commands share: their options, the store they mean, how they print."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from famulus.config.errors import ConfigError
from famulus.store.leases import LEASE_S

if TYPE_CHECKING:
    from rich.console import Console

    from famulus.launch.session import Session
    from famulus.store.store import Store

StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="Folder or URL of the store. [default: $FAMULUS_STORE or runs]"),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a setting: training.batch=128, x=null.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value for machines.")]
ModuleOption = Annotated[
    list[str] | None, typer.Option("--allow-module", help="Allow a task from this Python module.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
LeaseOption = Annotated[
    float, typer.Option("--lease-s", help="Seconds without a heartbeat before a takeover.")
]
FileArgument = Annotated[Path, typer.Argument(help="An experiment file.", show_default=False)]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="An id, a unique prefix, or last.", show_default=False)
]


def open_store(url: str | None, *, needed: bool = False) -> "Store":
    from famulus.launch.store import open_store as open_

    return open_(url, needed=needed)


def session(
    store: str | None,
    modules: Sequence[str] | None,
    as_json: bool = False,
    *,
    lease_s: float = LEASE_S,
    debug: bool = False,
    needed: bool = False,
) -> "Session":
    """What a command works with, from its options; `needed`: there must be a store already."""
    from famulus.launch.session import Session

    opened, allowed = open_store(store, needed=needed), tuple(modules or ())
    return Session(opened, allowed, lease_s, debug, console(as_json), silent=as_json)


def make_room(out: Path) -> None:
    """The folder of a file that is to be written. Raises ConfigError."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{out}: can't make its folder: {reason}") from error


def show(value: Any) -> None:
    print(json.dumps(value, indent=1, default=str))


def console(as_json: bool) -> "Console":
    from rich.console import Console

    return Console(stderr=as_json)  # stdout is for the JSON alone
