"""The command line. Each command reads its arguments, calls one function, prints one answer.

Exit codes: 0 done; 1 a run failed or a promise of `check` was broken; 2 a mistake in the file or
the command line; 3 data; 4 store; 5 another process has the run; 130 interrupted (resumable).

Heavy modules are imported inside the commands, so that --help and status answer at once.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from famulus import __version__
from famulus.config.errors import ConfigError, FamulusError

INTERRUPTED = 130
# Newer typers carry a click of their own, whose errors are not those of the package click.
USAGE = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

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


def _store(given: str | None) -> Any:
    from famulus.launch.store import open_store

    return open_store(given)


def _print(value: Any) -> None:
    print(json.dumps(value, indent=1, default=str))


def _console(as_json: bool) -> Any:
    from rich.console import Console

    return Console(stderr=as_json)


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


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
    cells = prepare(_store(store), plan, allow_module or [])
    found = []
    sign = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "·"}
    for control in controls(cells):
        found.append(control)
        if not as_json:
            print(f"{sign[control.verdict]} {control.name}: {control.text}", flush=True)
            if control.remedy:
                print(f"  → {control.remedy}")
    if as_json:
        _print([control.json() for control in found])
    if any(control.verdict == "failed" for control in found):
        raise typer.Exit(1)


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
    opened = _store(store)
    plan, cells, report = actions.run_file(
        opened,
        file,
        set_ or [],
        _console(as_json),
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

    opened = _store(store)
    found = opened.find(ref)
    cell, report = actions.go_on(
        opened,
        found,
        set_ or [],
        _console(as_json),
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

    opened = _store(store)
    found = opened.find(ref)
    longer = actions.budget_override(opened, found, inputs, allow_module or [])
    cell, report = actions.go_on(
        opened,
        found,
        [*longer, *(set_ or [])],
        _console(as_json),
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

    opened = _store(store)
    found = opened.find(ref)
    if not current_code and stale(found.lineage()):
        raise typer.Exit(
            rerun_with_recorded_code(found, opened.root, ["--json"] if as_json else [])
        )
    cell, report = actions.repeat(
        opened,
        found,
        _console(as_json),
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


@app.command()
def status(
    experiment: Annotated[str | None, typer.Argument(help="Only this experiment.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """What every run is doing."""
    from famulus.store.index import rows

    found = rows(_store(store), experiment)
    if as_json:
        _print(found)
        return
    from famulus.launch.listing import status_lines

    for line in status_lines(found):
        print(line)


@app.command()
def compare(
    refs: Annotated[list[str], typer.Argument(metavar="EXPERIMENT|RUN...")],
    include: Annotated[list[str] | None, typer.Option("-i", "--include", help="Columns.")] = None,
    exclude: Annotated[list[str] | None, typer.Option("-e", "--exclude", help="Columns.")] = None,
    sort: Annotated[
        list[str] | None, typer.Option("-s", "--sort", help="Columns; a - before descends.")
    ] = None,
    average: Annotated[
        list[str] | None, typer.Option("-a", "--average", help="Average an axis away.")
    ] = None,
    score: Annotated[str | None, typer.Option(help="Leading score, as val/loss.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="text, markdown, csv, json or latex.")
    ] = "text",
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """The results table of an experiment, or runs side by side and what differs."""
    from famulus.journal.compare import compare as table

    chosen = "json" if as_json else form
    print(
        table(
            _store(store),
            refs,
            include or (),
            exclude or (),
            sort or (),
            average or (),
            score,
            chosen,
        ),
        end="",
    )


@app.command()
def diagnose(ref: RunArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Name what ails a run, with evidence."""
    from famulus.diagnosis.history import from_events
    from famulus.diagnosis.verdict import diagnose as verdict

    found = _store(store).find(ref)
    findings = verdict(from_events(found.config(), found.curve()))
    if as_json:
        _print([finding.event() for finding in findings])
        return
    for finding in findings:
        print(f"{finding.severity}: {finding.cause}\n  {finding.evidence}\n  → {finding.remedy}")
    if not findings:
        print(f"{found.id}: no finding")


@app.command()
def forecast(
    refs: Annotated[list[str] | None, typer.Argument(metavar="[EXPERIMENT|RUN...]")] = None,
    backtest: Annotated[
        bool, typer.Option("--backtest", help="Judge forecasts on runs that have finished.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Where the validation loss of runs under way will end; with --backtest, how right that was."""
    from famulus.journal import forecast as ahead

    records = ahead.chosen(_store(store), refs or [])
    if backtest:
        judged = ahead.judge(records)
        _print(judged.json()) if as_json else print(ahead.told(judged), end="")
        return
    found = ahead.lines(records)
    if as_json:
        _print(found)
        return
    for row in found:
        print(f"{row['run']}  {row['cell']}  at {row['inputs']:,} inputs: {row['says']}")
    if not found:
        print("every run is over: --backtest judges what would have been said of them")


@app.command()
def journal(
    what: Annotated[str | None, typer.Argument(metavar="[FILE|EXPERIMENT|RUN]")] = None,
    out: Annotated[Path | None, typer.Option("-o", help="Folder for the pages.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the pages: HTML that opens offline, and Markdown beside it."""
    from famulus.config.experiment import name_of
    from famulus.journal.site import write

    opened = _store(store)
    experiment = what
    if what is not None and what not in opened.experiments():
        named = name_of(Path(what)) if what.endswith((".yaml", ".yml")) else None
        experiment = named or opened.find(what).experiment
    pages = write(opened, experiment, out)
    if as_json:
        _print([str(page) for page in pages])
        return
    for page in pages:
        print(page)


@app.command()
def apply(
    arguments: Annotated[list[str], typer.Argument(metavar="RUN INPUT")],
    out: Annotated[Path, typer.Option("-o", help="Folder for the results.")],
    option: Annotated[
        list[str] | None, typer.Option("--option", help="key=value for the task, as sample=16.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="best, last or a step.")] = "best",
    store: StoreOption = None,
    allow_module: ModuleOption = None,
) -> None:
    """Use a trained model on your own files."""
    from famulus.launch.use import apply as use

    ref, *inputs = arguments
    if len(inputs) != 1:
        raise ConfigError(f"apply: expected RUN INPUT, received {len(arguments)} arguments")
    opened = _store(store)
    use(
        opened,
        opened.find(ref),
        checkpoint,
        Path(inputs[0]),
        out,
        option or [],
        allow_module or [],
    )
    print(out)


data_app = typer.Typer(help="Data sets: list, info, fetch, convert.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("list")
def data_list(as_json: JsonOption = False) -> None:
    """The sets that can be named, and whether their files are there."""
    from famulus.data.catalog import sets

    rows = sets()
    if as_json:
        _print(rows)
        return
    for row in rows:
        print(f"{'✓' if row['present'] else '–'} {row['name']:<16} {row['summary']}")
        if row["missing"]:
            print(f"  {row['missing']}")


@data_app.command("info")
def data_info(
    name: str, size: Annotated[int | None, typer.Option()] = None, as_json: JsonOption = False
) -> None:
    """Counts, shape, classes, fingerprint, and what was noticed while reading."""
    from famulus.data.catalog import info

    row = info(name, size=size)
    if as_json:
        _print(row)
        return
    for key, value in row.items():
        if key == "notes":
            print("".join(f"note: {note}\n" for note in value), end="")
        else:
            print(f"{key}: {value}")


@data_app.command("fetch")
def data_fetch(
    name: str,
    source: Annotated[str, typer.Option("--from", help="Folder or URL that holds the files.")],
) -> None:
    """Copy a set's files into the data folder ($FAMULUS_DATA) and read them once."""
    from famulus.data.fetch import fetch

    for line in fetch(name, source):
        print(line)


@data_app.command("convert")
def data_convert(
    source: str, out: Path, size: Annotated[int | None, typer.Option()] = None
) -> None:
    """Write a set as one .npz, which opens much faster."""
    from famulus.data.catalog import convert

    row = convert(source, out, size=size)
    print(f"{out}: {row['train']} training and {row['validation']} validation samples")


@app.command()
def schema() -> None:
    """JSON Schema of an experiment file, so that editors complete and check."""
    from famulus import tasks
    from famulus.config.jsonschema import json_schema

    _print(json_schema({name: tasks.load(name).Config for name in tasks.names()}))


@app.command()
def causes(as_json: JsonOption = False) -> None:
    """Every cause that a finding can name."""
    from famulus.diagnosis.verdict import causes as known

    names = known()
    if as_json:
        _print(names)
        return
    for name, summary in names.items():
        print(f"{name:<24} {summary}")


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
        _print({**outcome(report, cells), "page": page, **(extra or {})})
    elif page is not None:
        print(f"journal: {page}")
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
    if report.failed:
        print(f"famulus: {report.told()}", file=sys.stderr)
        raise typer.Exit(report.exit_code)


def _write_page(store: Any, experiment: str) -> Path:
    from famulus.journal.names import folder
    from famulus.journal.site import write

    ending = f"{folder(experiment)}/index.html"
    return next(p for p in write(store, experiment) if p.as_posix().endswith(f"/{ending}"))


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
        sys.exit(INTERRUPTED)
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


if __name__ == "__main__":
    main()
