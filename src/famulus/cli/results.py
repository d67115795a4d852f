"""Commands that look: status, compare, diagnose, forecast, journal, schema, causes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from famulus.cli.app import app
from famulus.cli.options import (
    JsonOption,
    RunArgument,
    StoreOption,
    open_store,
    show,
)


@app.command()
def status(
    experiment: Annotated[str | None, typer.Argument(help="Only this experiment.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """What every run is doing."""
    opened = open_store(store)
    rows = opened.rows(experiment)
    if as_json:
        show(rows)
        return
    from famulus.launch.listing import status_lines

    for line in status_lines(rows, experiment, opened.experiments()):
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
    from famulus.journal.pages.compare import compare as table

    chosen = "json" if as_json else form
    print(
        table(
            open_store(store, needed=True),
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
    """Diagnose problems in a run, with evidence."""
    from famulus.diagnosis.report import finding_lines
    from famulus.lab.diagnosis import verdict_of

    run = open_store(store, needed=True).find(ref)
    verdict = verdict_of(run)
    findings = verdict.findings
    for line in verdict.skipped:
        print(line, file=sys.stderr)
    if as_json:
        show([finding.event() for finding in findings])
        return
    for line in finding_lines(findings):
        print(line)
    ending = run.ending()
    if run.status() == "failed" and ending.get("reason"):
        print(f"{run.id} failed: {ending['reason']}")
    elif not findings:
        print(f"{run.id}: no finding")


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
    from famulus.journal.facts import forecast as ahead

    records = ahead.chosen(open_store(store, needed=True), refs or [])
    if backtest:
        judged = ahead.judge(records)
        show(judged.json()) if as_json else print(ahead.told(judged), end="")
        return
    rows = ahead.lines(records)
    if as_json:
        show(rows)
        return
    for row in rows:
        print(f"{row['run']}  {row['cell']}  at {row['inputs']:,} inputs: {row['says']}")
    if not rows:
        print("every run is over: --backtest judges what would have been said of them")


@app.command()
def journal(
    what: Annotated[str | None, typer.Argument(metavar="[FILE|EXPERIMENT|RUN]")] = None,
    out: Annotated[Path | None, typer.Option("-o", help="Folder for the pages.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the pages: HTML that opens offline, and Markdown beside it."""
    from famulus.config.names import file_name
    from famulus.journal.pages.site import write

    opened = open_store(store, needed=True)
    experiment = what
    if what is not None and what not in opened.experiments():
        named = file_name(Path(what)) if what.endswith((".yaml", ".yml")) else None
        experiment = named or opened.find(what).experiment
    pages = write(opened, experiment, out)
    if as_json:
        show([str(page) for page in pages])
        return
    for page in pages:
        print(page)


@app.command()
def schema() -> None:
    """JSON Schema of an experiment file, so that editors complete and check."""
    from famulus import tasks
    from famulus.config.jsonschema import json_schema

    show(json_schema({name: tasks.load(name).Config for name in tasks.names()}))


@app.command()
def causes(as_json: JsonOption = False) -> None:
    """Every cause that a finding can name."""
    from famulus.diagnosis.verdict import causes as known

    names = known()
    if as_json:
        show(names)
        return
    for name, summary in names.items():
        print(f"{name:<24} {summary}")
