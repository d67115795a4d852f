"""Commands that make and train experiments: new, check, run, resume, extend, rerun."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from famulus.cli.app import app
from famulus.cli.options import (
    DebugOption,
    FileArgument,
    JsonOption,
    LeaseOption,
    ModuleOption,
    RunArgument,
    SetOption,
    StoreOption,
    console,
    make_room,
    session,
    show,
)
from famulus.config.errors import ConfigError, FamulusError
from famulus.store.leases import LEASE_S

if TYPE_CHECKING:
    from rich.console import Console

    from famulus.launch.local import Report
    from famulus.launch.plan import Ready
    from famulus.store.store import Store

INTERRUPTED = 130  # exit code


@app.command()
def new(
    task: Annotated[str, typer.Argument(help="A task's name, as tiles.")],
    out: Annotated[Path | None, typer.Option("-o", help="Write here; else print.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Pictures, a volume, records: look at them; the file then runs."),
    ] = None,
    allow_module: ModuleOption = None,
) -> None:
    """A commented experiment file to start from; with --data one that suits them and runs."""
    if out is not None and out.exists():  # before the look, which may take minutes
        raise ConfigError(f"{out} exists already; choose another name")
    if data is None:
        from famulus import tasks
        from famulus.launch.template import template

        kind = tasks.load(task, allow_module or ())
        text = template(task, kind.Config, kind.START)
    else:
        from famulus.launch.proposal import experiment

        text = experiment(task, data, allow_module or ())
    if out is None:
        print(text, end="")
        return
    make_room(out)
    try:
        with open(out, "x", encoding="utf-8") as file:  # x: never over a file that is there
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{out} exists already; choose another name") from error
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}") from error
    print(out)


@app.command()
def check(
    file: FileArgument,
    set_: SetOption = None,
    budget: Annotated[float, typer.Option(min=1, help="Seconds for the controls.")] = 120.0,
    store: StoreOption = None,
    as_json: JsonOption = False,
    allow_module: ModuleOption = None,
    debug: DebugOption = False,
) -> None:
    """Controls and floors before the run: minutes, not a night."""
    from famulus.launch import actions, naming
    from famulus.launch.check import check as controls
    from famulus.launch.plan import prepare

    now = session(store, allow_module, as_json)
    plan = actions.read_plan(file, set_ or [], now.modules)
    naming.judged(now.store, plan, file)
    cells = prepare(now, plan)
    results = []
    sign = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "·"}
    shown = console(as_json)
    with shown.status("data") as status:

        def watch(name: str, seconds: float) -> None:
            status.update(f"{name} · {seconds:.0f} s of {budget:.0f} s")

        for control in controls(cells, budget, watch):
            results.append(control)
            if not as_json:
                cause = f" [{control.cause}]" if control.cause else ""
                _say(shown, f"{sign[control.verdict]} {control.name}: {control.text}{cause}")
                if control.remedy:
                    _say(shown, f"  → {control.remedy}")
    if as_json:
        show([control.json() for control in results])
    if any(control.verdict == "failed" for control in results):
        raise typer.Exit(1)


def _say(shown: "Console", text: str) -> None:
    shown.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command()
def run(
    file: FileArgument,
    set_: SetOption = None,
    store: StoreOption = None,
    on: Annotated[str, typer.Option(help="Where the cells run: local.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the cells.")] = 1,
    as_json: JsonOption = False,
    lease_s: LeaseOption = LEASE_S,
    journal: Annotated[bool, typer.Option(help="Write the page at the end.")] = True,
    allow_module: ModuleOption = None,
    debug: DebugOption = False,
) -> None:
    """Train every cell of an experiment file that is not finished; then write its page."""
    from famulus.launch import actions

    if on != "local":
        raise ConfigError(f"--on {on}: expected local")
    now = session(store, allow_module, as_json, lease_s=lease_s, debug=debug)
    plan, cells, report = actions.run_file(now, file, set_ or [], workers=workers)
    _end(now.store, plan.name, report, cells, as_json, journal)


@app.command()
def resume(
    ref: RunArgument,
    set_: SetOption = None,
    from_: Annotated[int | None, typer.Option("--from", help="Step of a checkpoint.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    lease_s: LeaseOption = LEASE_S,
    allow_module: ModuleOption = None,
    debug: DebugOption = False,
) -> None:
    """Go on where a run stopped; with --set, as its child, drawn as one curve."""
    from famulus.launch import actions

    now = session(store, allow_module, as_json, lease_s=lease_s, debug=debug, needed=True)
    run = now.store.find(ref)
    cell, report = actions.go_on(now, run, set_ or [], step=from_)
    _end(now.store, run.experiment, report, [cell], as_json)


@app.command()
def extend(
    ref: RunArgument,
    inputs: Annotated[str, typer.Option(help="+1M: that many more; 2M: that many in all.")],
    set_: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    allow_module: ModuleOption = None,
    debug: DebugOption = False,
) -> None:
    """Train a run for longer, as its child, drawn as one curve."""
    from famulus.launch import actions

    now = session(store, allow_module, as_json, debug=debug, needed=True)
    run = now.store.find(ref)
    longer = actions.budget_override(now, run, inputs)
    cell, report = actions.go_on(now, run, [*longer, *(set_ or [])], kind="extend")
    _end(now.store, run.experiment, report, [cell], as_json)


@app.command()
def rerun(
    ref: RunArgument,
    current_code: Annotated[
        bool, typer.Option("--current-code", help="Repeat with the code of today.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    allow_module: ModuleOption = None,
    debug: DebugOption = False,
) -> None:
    """Repeat a run from its record (settings, code, data) and compare the curves."""
    from famulus.launch import actions
    from famulus.launch.rerun import compare_curves, rerun_with_recorded_code
    from famulus.store.lineage import stale

    now = session(store, allow_module, as_json, debug=debug, needed=True)
    run = now.store.find(ref)
    if not current_code and stale(run.lineage()):
        options = ["--json"] if as_json else []
        raise typer.Exit(rerun_with_recorded_code(run, now.store.root, options))
    cell, report = actions.repeat(now, run)
    again = now.store.run(cell.experiment, cell.slug, cell.id)
    compared = compare_curves(run, again)
    if not as_json:
        worst = max(compared["largest_relative_difference"].values(), default=0.0)
        same = "bit for bit the same" if compared["identical"] else f"differs by up to {worst:.3g}"
        print(f"{again.id} against {run.id}: {compared['points']} points, {same}")
    _end(now.store, run.experiment, report, [cell], as_json, extra={"compared": compared})


def _end(
    store: "Store",
    experiment: str,
    report: "Report",
    cells: "Sequence[Ready]",
    as_json: bool,
    journal: bool = True,
    extra: dict[str, Any] | None = None,
) -> None:
    """Writes the page, prints where it is, and ends with the right exit code."""
    from famulus.launch.actions import outcome

    page = None
    if journal and store.local is not None:
        try:
            page = _write_page(store, experiment)
        except FamulusError:
            if not report.failed:  # else the first error is the one to show
                raise
    if as_json:
        show({**outcome(report, cells), "page": page, **(extra or {})})
    elif page is not None:
        print(f"journal: {page}")
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
    if report.failed:
        print(f"famulus: {report.told()}", file=sys.stderr)
        raise typer.Exit(report.exit_code)


def _write_page(store: "Store", experiment: str) -> Path:
    from famulus.journal.facts.names import folder
    from famulus.journal.pages.site import write

    ending = f"{folder(experiment)}/index.html"
    return next(p for p in write(store, experiment) if p.as_posix().endswith(f"/{ending}"))
