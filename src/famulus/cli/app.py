"""The application that the commands join, and how it starts."""

import os
from typing import Annotated

import typer

from famulus import __version__

# Threads that spin while they wait make two busy processes on one machine many times slower than
# one after the other. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    name="famulus",
    help="A training laboratory: one experiment file, exact resume, a journal that writes itself.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
