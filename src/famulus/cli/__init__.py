"""The command line. Each command reads its arguments, calls one function, prints one answer.

Exit codes: 0 done; 1 a run failed or a promise of `check` was broken; 2 a mistake in the file or
the command line; 3 data; 4 store; 5 another process has the run; 130 interrupted (resumable).

Heavy modules are imported inside the commands, so that --help and status answer at once.
"""

import json
import sys
from typing import Any

import typer

from famulus.cli import cases, experiments, manifest, results, use, watch
from famulus.cli.app import app
from famulus.config.errors import FamulusError

__all__ = ["app", "cases", "experiments", "main", "manifest", "results", "use", "watch"]

# Newer typers carry a click of their own, whose errors are not those of the package click.
USAGE: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main(arguments: list[str] | None = None) -> None:
    """The process's entry: one line for a person's mistake, a traceback only with --debug."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(given, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except FamulusError as error:
        _complain(error, given, error.exit_code)
    except USAGE as error:
        _complain(error, given, 2, error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        print("famulus: interrupted", file=sys.stderr)
        sys.exit(experiments.INTERRUPTED)
    # `famulus status | head` has read enough: no mistake.
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        _complain(error, given, 1, f"{type(error).__name__}: {error} (--debug shows where)")


def _complain(error: Exception, given: list[str], code: int, text: str | None = None) -> None:
    if "--debug" in given:
        raise error
    line = " ".join((text or str(error)).split())
    if "--json" in given:
        print(json.dumps({"error": line, "exit_code": code}))
    print(f"famulus: {line}", file=sys.stderr)
    sys.exit(code)
