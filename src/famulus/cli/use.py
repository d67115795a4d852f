"""Commands that use: apply a trained model, export it, list and convert data."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from famulus.cli.app import app
from famulus.cli.options import (
    JsonOption,
    ModuleOption,
    RunArgument,
    StoreOption,
    make_room,
    session,
    show,
)
from famulus.config.errors import ConfigError, Unread
from famulus.config.yaml import parse_value

ChannelOption = Annotated[int | None, typer.Option(help="Volume: which of several channels.")]
TimeOption = Annotated[int | None, typer.Option(help="Volume: which of several times.")]


# Options of a task are known to the task alone.
@app.command(context_settings={"ignore_unknown_options": True})
def apply(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL] [INPUT] [--KEY VALUE]...")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", help="Where the results go.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="key=value: the same as --key value.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="best, last or a step. [default: best, else the newest]")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check a model folder against its examples.")
    ] = False,
    help_task: Annotated[
        str | None, typer.Option("--help-task", metavar="TASK", help="List a task's options.")
    ] = None,
    store: StoreOption = None,
    allow_module: ModuleOption = None,
) -> None:
    """Use a trained model on your own files. MODEL: a run, last:EXPERIMENT, a model folder or its
    URL; none beside --method. INPUT: none beside --sample or --verify."""
    modules = allow_module or []
    if help_task is not None:
        _help_task(help_task, modules)
        return
    places, given = _split(arguments or [], option or [])
    sampled = verify or "sample" in given
    if len(places) != 2 and (len(places) != 1 or not (sampled or "method" in given)):
        raise ConfigError(
            "apply: expected MODEL INPUT, or INPUT beside --method, or MODEL beside --sample or"
            f" --verify; received {len(places)} arguments"
        )
    if verify:
        _verify(places, given, checkpoint, store, modules)
        return
    if out is None:
        raise ConfigError("apply: expected -o OUT, where the results go, received none")
    from famulus.launch import use

    with _shown(out):
        if len(places) == 1 and not sampled:
            use.apply_method(str(given.pop("method")), Path(places[0]), out, given, modules)
        else:
            from famulus.launch.trained import open_trained

            trained = open_trained(places[0], store=store, modules=modules, which=checkpoint)
            use.apply(trained, Path(*places[1:]), out, given)


@contextmanager
def _shown(out: Path) -> Iterator[None]:
    """Prints the place of the results, also where some of many inputs could not be read."""
    try:
        yield
    except Unread:
        print(out)
        raise
    print(out)


def _verify(
    places: Sequence[str],
    given: Mapping[str, Any],
    checkpoint: str | None,
    store: str | None,
    modules: Sequence[str],
) -> None:
    """Exit code 1 where the examples come out otherwise."""
    from famulus.launch.examples import verify
    from famulus.launch.trained import open_trained

    if len(places) != 1 or given:
        raise ConfigError("apply: --verify expects a model folder and nothing else")
    # on the CPU: fast kernels of a GPU round to ten bits
    trained = open_trained(places[0], store=store, modules=modules, which=checkpoint, device="cpu")
    if trained.folder is None:
        raise ConfigError(f"{places[0]}: --verify expects a model folder, received a run")
    for note in trained.notes:
        print(f"note: {note}", file=sys.stderr)
    passed, sentence = verify(trained, trained.folder)
    print(f"{'✓' if passed else '✗'} {sentence}")
    if not passed:
        raise typer.Exit(1)


def _help_task(name: str, modules: Sequence[str]) -> None:
    from famulus import tasks
    from famulus.config.apply_options import listed

    kind = tasks.load(name, modules)
    print(f"famulus apply MODEL INPUT -o OUT with a model of task {name}:")
    print("\n".join(f"  {line}" for line in listed(kind.OPTIONS)) or "  no options of its own")


@app.command()
def export(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option("-o", help="The folder. [default: models/EXPERIMENT-CELL]"),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="best, last or a step. [default: best, else the newest]")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Add a graph that runs elsewhere: onnx or torch.")
    ] = None,
    store: StoreOption = None,
    allow_module: ModuleOption = None,
) -> None:
    """Write a trained model as a folder that anyone can use: weights, settings, card, examples."""
    from functools import partial

    from famulus.journal.pages.card import card
    from famulus.launch import export as exporter

    now = session(store, allow_module, needed=True)
    of = now.store.find(run)
    folder = out or exporter.default_folder(of)
    _, notes = exporter.export(now, of, folder, checkpoint, partial(card, now.store), to)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(folder)


def _split(arguments: list[str], options: list[str]) -> tuple[list[str], dict[str, Any]]:
    """What stands on its own, and the task's options: `--key value`, `--key=value`, key=value."""
    places, given = [], {}
    for text in options:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--option {text}: expected key=value")
        given[key.replace("-", "_")] = _value(value)
    words = iter(arguments)
    for word in words:
        if not word.startswith("--"):
            places.append(word)
            continue
        key, equals, value = word[2:].partition("=")
        value = value if equals else next(words, "--")
        if not equals and value.startswith("--"):
            raise ConfigError(f"{word}: expected a value behind it")
        given[key.replace("-", "_")] = _value(value)
    return places, given


def _value(text: str) -> Any:
    """As in an experiment file; what is no YAML may still be the name of a file."""
    try:
        return parse_value(text)
    except ConfigError:
        if Path(text).is_file():
            return text
        raise


data_app = typer.Typer(help="Data sets: list, info, fetch, convert.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("list")
def data_list(as_json: JsonOption = False) -> None:
    """The sets that can be named, and whether their files are there."""
    from famulus.images.catalog import sets

    rows = sets()
    if as_json:
        show(rows)
        return
    for row in rows:
        print(f"{'✓' if row['present'] else '–'} {row['name']:<16} {row['summary']}")
        if row["missing"]:
            print(f"  {row['missing']}")


@data_app.command("info")
def data_info(
    name: str,
    size: Annotated[
        int | None, typer.Option(help="Side to which pictures are brought; else as stored.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet to this new .png.")
    ] = None,
    channel: ChannelOption = None,
    time: TimeOption = None,
    html: Annotated[Path | None, typer.Option(help="Write a page to this new .html.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at data first: counts, sizes, values, near-duplicates, what was left out, and the line
    of YAML that uses it. Of a volume the middle planes; of bricks every byte is read."""
    from famulus.cli.look import Look

    for out, suffix in ((sheet, ".png"), (html, ".html")):
        _is_new(out, suffix)
    look = Look(name, size, channel, time)
    if sheet is not None:
        make_room(sheet)
        sheet.write_bytes(look.sheet())
    if html is not None:
        make_room(html)
        html.write_text(look.page(), encoding="utf-8")
    if as_json:
        show(look.survey.json())
        return
    print(look.text())
    for out in (sheet, html):
        if out is not None:
            print(out)


def _is_new(out: Path | None, suffix: str) -> None:
    # before the look, which may take a minute
    if out is not None and (out.suffix.lower() != suffix or out.exists()):
        there = ": this one exists" if out.exists() else ""
        raise ConfigError(f"{out}: expected the name of a new {suffix} file{there}")


@data_app.command("fetch")
def data_fetch(
    name: str,
    source: Annotated[str, typer.Option("--from", help="Folder or URL that holds the files.")],
) -> None:
    """Copy a set's files into the data folder ($FAMULUS_DATA) and read them once."""
    from famulus.images.fetch import fetch

    for line in fetch(name, source):
        print(line)


@data_app.command("convert")
def data_convert(
    source: str,
    out: Path,
    size: Annotated[int | None, typer.Option()] = None,
    labels: Annotated[Path | None, typer.Option(help="Volume: labels that lie elsewhere.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Volume: a mask that lies elsewhere.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Volume: the type its voxels must be.")] = None,
    channel: ChannelOption = None,
    time: TimeOption = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option("--range", help="Volume: LOW HIGH become 0 and full range of uint16."),
    ] = None,
) -> None:
    """Write a set as one .npz, or a volume as NAME.bricks, which opens much faster; or, as .csv or
    .json, the index of a folder of pictures."""
    if out.suffix == ".bricks":
        from famulus.volumes.open import Part
        from famulus.volumes.open import convert as convert_volume

        part = Part(channel, time, window)
        made = convert_volume(Path(source), out, labels, mask, dtype, part)
        print(f"{out}: {'x'.join(map(str, made.shape))} {made.dtype}, with checksums")
        print("".join(f"note: {note}\n" for note in made.notes), end="")
        return
    from famulus.images.catalog import convert, convert_to_index

    if out.suffix in (".csv", ".json"):
        count, notes = convert_to_index(source, out)
        print(f"{out}: {count} pictures with tags and sizes")
        print("".join(f"note: {note}\n" for note in notes), end="")
        return
    row = convert(source, out, size=size)
    print(f"{out}: {row['train']} training and {row['validation']} validation samples")
