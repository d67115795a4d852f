"""famulus cases: the casebook, run and judged."""

from pathlib import Path
from typing import Annotated

import typer

from famulus.cli.app import app
from famulus.cli.options import JsonOption, StoreOption, make_room, open_store, show


@app.command()
def cases(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Cases, files, or folders of cases."),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", help="Write the JSON result here, too.")] = None,
    controls_s: Annotated[
        float, typer.Option(min=0, help="Seconds of controls for each case; 0: none.")
    ] = 60.0,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the casebook and print how often the doctor is right; without --store nothing stays."""
    import json

    from famulus.launch import cases as book

    opened = open_store(store) if store else None
    if opened:
        opened.begin()
    found = book.run_cases(
        book.files(names or []),
        opened,
        budget_s=controls_s,
        told=lambda o: None if as_json else print(f"{o.name}: {', '.join(o.named) or o.error}"),
    )
    made = book.result(found)
    if out:
        make_room(out)
        out.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    if as_json:
        show(made)
    else:
        print("\n".join(["", *book.lines(found)]))
    if made["errors"]:
        raise typer.Exit(1)
