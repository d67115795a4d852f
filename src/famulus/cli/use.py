"""Commands that use: apply a trained run, list and convert data."""

from pathlib import Path
from typing import Annotated

import typer

from famulus.cli.app import app
from famulus.cli.options import (
    JsonOption,
    ModuleOption,
    StoreOption,
    open_store,
    show,
)
from famulus.config.errors import ConfigError


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
    opened = open_store(store)
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
        show(rows)
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
        show(row)
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
    source: str,
    out: Path,
    size: Annotated[int | None, typer.Option()] = None,
    labels: Annotated[Path | None, typer.Option(help="Volume: labels that lie elsewhere.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Volume: a mask that lies elsewhere.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Volume: the type its voxels must be.")] = None,
) -> None:
    """Write a set as one .npz, or a volume as NAME.bricks, which opens much faster."""
    if out.suffix == ".bricks":
        from famulus.data.volumes import convert as convert_volume

        made = convert_volume(Path(source), out, labels, mask, dtype)
        print(f"{out}: {'x'.join(map(str, made.shape))} {made.dtype}, with checksums")
        print("".join(f"note: {note}\n" for note in made.header["notes"]), end="")
        return
    from famulus.data.catalog import convert

    row = convert(source, out, size=size)
    print(f"{out}: {row['train']} training and {row['validation']} validation samples")
