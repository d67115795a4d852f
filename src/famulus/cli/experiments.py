"""Commands that make and train experiments: new, check, run, resume, extend, rerun."""

import sys
from pathlib import Path
from typing import Annotated, Any

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
    open_store,
    show,
)
from famulus.config.errors import ConfigError, FamulusError

INTERRUPTED = 130  # exit code


@app.command()
def new(
    task: Annotated[str, typer.Argument(help="A task's name, as tiles.")],
    out: Annotated[Path | None, typer.Option("-o", help="Write here; else print.")] = None,
    allow_module: ModuleOption = None,
) -> None:
    """A commented experiment file to start from."""
    from famulus import tasks
    from famulus.launch.template import template

    text = template(task, tasks.load(task, allow_module or ()).Config)
    if out is None:
        print(text, end="")
        return
    try:
        with open(out, "x", encoding="utf-8") as file:
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
    from famulus.launch import actions
    from famulus.launch.check import check as controls
    from famulus.launch.plan import prepare

    plan = actions.read_plan(file, set_ or [], allow_module or [])
    cells = prepare(open_store(store), plan, allow_module or [])
    found = []
    sign = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "·"}
    shown = console(as_json)
    with shown.status("data") as status:

        def watch(name: str, seconds: float) -> None:
            status.update(f"{name} · {seconds:.0f} s of {budget:.0f} s")

        for control in controls(cells, budget, watch):
            found.append(control)
            if not as_json:
                cause = f" [{control.cause}]" if control.cause else ""
                _say(shown, f"{sign[control.verdict]} {control.name}: {control.text}{cause}")
                if control.remedy:
                    _say(shown, f"  → {control.remedy}")
    if as_json:
        show([control.json() for control in found])
    if any(control.verdict == "failed" for control in found):
        raise typer.Exit(1)


def _say(shown: Any, text: str) -> None:
    shown.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command()
def run(
    file: FileArgument,
    set_: SetOption = None,
    store: StoreOption = None,
    on: Annotated[str, typer.Option(help="Where the cells run: local.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the cells.")] = 1,
    as_json: JsonOption = False,
    lease_s: LeaseOption = 300.0,
    journal: Annotated[bool, typer.Option(help="Write the page at the end.")] = True,
    allow_module: ModuleOption = None,
    debug: DebugOption = False,
) -> None:
    """Train every cell of an experiment file that is not finished; then write its page."""
    from famulus.launch import actions

    if on != "local":
        raise ConfigError(f"--on {on}: expected local")
    opened = open_store(store)
    plan, cells, report = actions.run_file(
        opened,
        file,
        set_ or [],
        console(as_json),
        silent=as_json,
        workers=workers,
        lease_s=lease_s,
        allowed=allow_module or [],
        debug=debug,
    )
    _end(opened, plan.name, report, cells, as_json, journal)


@app.command()
def resume(
    ref: RunArgument,
    set_: SetOption = None,
    from_: Annotated[int | None, typer.Option("--from", help="Step of a checkpoint.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    lease_s: LeaseOption = 300.0,
    allow_module: ModuleOption = None,
    debug: DebugOption = False,
) -> None:
    """Go on where a run stopped; with --set, as its child, drawn as one curve."""
    from famulus.launch import actions

    opened = open_store(store)
    found = opened.find(ref)
    cell, report = actions.go_on(
        opened,
        found,
        set_ or [],
        console(as_json),
        step=from_,
        silent=as_json,
        lease_s=lease_s,
        allowed=allow_module or [],
        debug=debug,
    )
    _end(opened, found.experiment, report, [cell], as_json)


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

    opened = open_store(store)
    found = opened.find(ref)
    longer = actions.budget_override(opened, found, inputs, allow_module or [])
    cell, report = actions.go_on(
        opened,
        found,
        [*longer, *(set_ or [])],
        console(as_json),
        kind="extend",
        silent=as_json,
        allowed=allow_module or [],
        debug=debug,
    )
    _end(opened, found.experiment, report, [cell], as_json)


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

    opened = open_store(store)
    found = opened.find(ref)
    if not current_code and stale(found.lineage()):
        raise typer.Exit(
            rerun_with_recorded_code(found, opened.root, ["--json"] if as_json else [])
        )
    cell, report = actions.repeat(
        opened,
        found,
        console(as_json),
        silent=as_json,
        allowed=allow_module or [],
        debug=debug,
    )
    again = opened.run(cell.experiment, cell.slug, cell.id)
    compared = compare_curves(found, again)
    if not as_json:
        worst = max(compared["largest_relative_difference"].values(), default=0.0)
        same = "bit for bit the same" if compared["identical"] else f"differs by up to {worst:.3g}"
        print(f"{again.id} against {found.id}: {compared['points']} points, {same}")
    _end(opened, found.experiment, report, [cell], as_json, extra={"compared": compared})


def _end(
    store: Any,
    experiment: str,
    report: Any,
    cells: list[Any],
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


def _write_page(store: Any, experiment: str) -> Path:
    from famulus.journal.facts.names import folder
    from famulus.journal.pages.site import write

    ending = f"{folder(experiment)}/index.html"
    return next(p for p in write(store, experiment) if p.as_posix().endswith(f"/{ending}"))
