"""`famulus watch`: somebody's own training script, unchanged, under the doctor."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from famulus.cli.app import app
from famulus.cli.options import DebugOption, JsonOption, StoreOption
from famulus.config.errors import ConfigError

if TYPE_CHECKING:
    from famulus.bridges.watch.script import Script
    from famulus.bridges.watch.session import Watch
    from famulus.diagnosis.history import Finding
    from famulus.store.store import Store

CHECK_STEPS = 64  # of a training, with --check
SEVERITIES = ("info", "warning", "error")


def _steps(text: str) -> int:
    if not text.isdecimal():
        raise typer.BadParameter(f"expected a number of steps, received {text!r}")
    return int(text)


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def watch(
    command: Annotated[
        list[str], typer.Argument(metavar="(SCRIPT | -m MODULE) [ARGS]...", show_default=False)
    ],
    store: StoreOption = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the experiment. [default: the script's]")
    ] = None,
    controls_steps: Annotated[
        int | None,
        typer.Option(
            parser=_steps, metavar="N", help="Steps of all trial trainings at the end; 0 for none."
        ),
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option(help="Exit with 1 from this severity on: info, warning, error.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only the first steps, then trial trainings.")
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run a training script of your own, unchanged, and say why it does not learn."""
    script = _script(command)
    if fail_on not in (None, *SEVERITIES):
        raise ConfigError(f"--fail-on: expected {', '.join(SEVERITIES)}, received {fail_on!r}")
    script.prepare()
    if int(os.environ.get("RANK") or 0):  # of several processes the first one records
        raise typer.Exit(script.run()[0])
    from famulus.bridges.watch.session import Watch

    watched = Watch(
        store=store or os.environ.get("FAMULUS_STORE") or "runs",
        name=name or script.experiment,
        settings=script.options,
        controls_steps=controls_steps,
        first_steps=CHECK_STEPS if check else None,
    )
    with _own_output(as_json) as out:
        code = _run(script, watched)
        reports = _reports(watched, debug)
        limit = fail_on or ("error" if check else None)
        code = code or int(any(report.reaches(limit) for report in reports))
        if as_json:
            runs = [report.json() for report in reports]
            print(json.dumps({"exit_code": code, "runs": runs}, default=str), file=out)
        else:
            pages = dict.fromkeys(report.page for report in reports if report.page)
            with suppress(OSError, ValueError):  # a script may have closed it
                for line in [*watched.lines(), *(f"page: {page}" for page in pages)]:
                    print(line, file=out)
    raise typer.Exit(code)


def _script(command: list[str]) -> "Script":
    from famulus.bridges.watch.script import Script

    first, *rest = command
    if first == "-m":
        if not rest:
            raise ConfigError("-m: expected the name of a module behind it")
        return Script(rest[0], rest[1:], module=True)
    if first.startswith("-") and first != "-":
        raise ConfigError(f"{first}: no such option; those of the script stand behind it")
    return Script(first, rest)


def _run(script: "Script", watched: "Watch") -> int:
    """The script's exit code; its runs are ended."""
    from famulus.bridges.watch.recorder import say
    from famulus.bridges.watch.script import Enough

    watched.start()
    process = os.getpid()
    try:
        code, error = script.run()
    except Enough:
        code, error = 0, None
    if os.getpid() != process:  # a child that the script forked: the runs are the parent's
        raise typer.Exit(code)
    watched.close(error)
    for note in watched.notes():
        say(note)
    return code


@contextmanager
def _own_output(as_json: bool) -> Iterator[IO[str]]:
    """Where our words go. With --json standard output is for the JSON alone, and what the script
    and its children print there goes to standard error."""
    if not as_json:
        yield sys.stdout
        return
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        yield out


@dataclass(frozen=True)
class Report:
    """What is said of one run."""

    id: str
    experiment: str
    model: str
    steps: int
    samples: int
    epochs: int
    page: str
    findings: list["Finding"]

    def json(self) -> dict[str, Any]:
        return {**vars(self), "findings": [finding.event() for finding in self.findings]}

    def reaches(self, limit: str | None) -> bool:
        """Is any finding as grave as that?"""
        grave = SEVERITIES[SEVERITIES.index(limit) :] if limit else ()
        return any(finding.severity in grave for finding in self.findings)


def _reports(watched: "Watch", debug: bool) -> list[Report]:
    """Of each run. Trouble is a line."""
    from famulus.bridges.watch.recorder import say
    from famulus.store.store import Store

    pages: dict[str, str] = {}
    reports = []
    for training in watched.trainings:
        recorder = training.recorder
        if recorder.stopped:  # that has been said
            continue
        run, size = recorder.run, (recorder.steps, recorder.inputs, training.epochs)
        try:
            findings = recorder.findings()
            if run.experiment not in pages:
                pages[run.experiment] = _page(Store.open(watched.store), run.experiment)
        except Exception as error:
            if debug:
                raise
            say(f"{run.path}: {type(error).__name__}: {error}")
            continue
        page = pages[run.experiment]
        reports.append(Report(run.id, run.experiment, training.title, *size, page, findings))
    return reports


def _page(store: "Store", experiment: str) -> str:
    from famulus.journal.facts import names
    from famulus.journal.pages.site import write

    if store.local is None:  # pages of a remote store need a folder
        return ""
    write(store, experiment)
    return str(store.local / "journal" / names.folder(experiment) / "index.html")
