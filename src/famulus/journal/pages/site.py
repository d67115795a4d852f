"""The journal as a folder: index, a page for each experiment and for each run.

    journal/index.html
    journal/<experiment>/index.html  index.md  curves.svg  results.csv|.tex|.json
    journal/<experiment>/runs/<slug>-<id>.html  pictures/<id>-<name>.png

Files are written atomically, and only if their content changed. Those of runs and experiments that
are gone are removed, if Famulus wrote them: see pages/written.py.
"""

import contextlib
import hashlib
import os
import uuid
from pathlib import Path

from famulus.config.errors import StoreError
from famulus.journal.facts import names
from famulus.journal.facts.entry import Entry, collect
from famulus.journal.facts.selection import select
from famulus.journal.pages import written
from famulus.journal.pages.entry_page import entry_figure, entry_page
from famulus.journal.pages.index_page import index_page, lab_notes
from famulus.journal.pages.markdown import entry_markdown
from famulus.journal.pages.panels import layout
from famulus.journal.pages.render import render
from famulus.journal.pages.run_page import run_page
from famulus.journal.pages.standalone import svg_file
from famulus.store.store import Store


def write(store: Store, experiment: str | None = None, out: str | Path | None = None) -> list[Path]:
    """Writes the pages (of one experiment, and the index) and returns their paths, sorted.

    `out` defaults to `<store>/journal`; a remote store needs it. Raises StoreError for an
    experiment that the store does not have.
    """
    folder = _folder(store, out)
    have = store.experiments()
    if experiment is not None and experiment not in have:
        known = ", ".join(have[:8]) or "none yet"
        raise StoreError(
            f"expected an experiment of {store.root}, received {experiment!r}: {known}"
        )
    # all of them even for one: the index lists every one
    entries = [collect(store, name) for name in have]
    made: dict[str, dict[str, bytes]] = {}
    for entry in entries:
        if experiment in (None, entry.experiment):
            base = names.folder(entry.experiment)
            pages = entry_files(entry)
            made[entry.experiment] = {f"{base}/{name}": data for name, data in pages.items()}
    index = index_page(entries, lab_notes(store)).encode()
    files = {name: data for pages in made.values() for name, data in pages.items()}
    paths = sorted(_put(folder / n, data) for n, data in {**files, "index.html": index}.items())
    # its own pages move with a store; a folder elsewhere may hold those of several
    owner = "here" if out is None else hashlib.sha256(store.root.encode()).hexdigest()[:12]
    _put(folder / written.LIST, written.update(folder, owner, made, have))
    return paths


def _folder(store: Store, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if store.local is None:
        raise StoreError(f"{store.root} is remote: expected a folder for the pages (--out)")
    return Path(store.local) / "journal"


def entry_files(entry: Entry) -> dict[str, bytes]:
    """All files of one experiment, by their names inside its folder."""
    html, pictures = entry_page(entry)
    files = {"index.html": html.encode()}
    cells, ranking = entry.cells, entry.ranking
    curves = svg_file(entry_figure(cells, ranking.score, layout(cells, ranking)))
    if curves:
        files["curves.svg"] = curves.encode()
    files["index.md"] = entry_markdown(entry, bool(curves)).encode()
    table = select(entry.table)
    for name, form in (("csv", "csv"), ("tex", "latex"), ("json", "json")):
        files[f"results.{name}"] = render(table, form).encode()
    for record in entry.runs.all:
        text, more = run_page(entry, record)
        files[f"runs/{names.run_page(record)}"] = text.encode()
        pictures |= more
    return files | {f"pictures/{name}": data for name, data in pictures.items()}


def _put(path: Path, data: bytes) -> Path:
    """Writes a file whole or not at all; leaves an equal one as it is."""
    try:
        # left alone: a folder that is synchronised or watched sees only what changed
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return path
    except FileNotFoundError:
        pass
    # in the same folder: a rename between file systems copies
    temporary = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            # before the rename: a crash may keep the name and lose the bytes
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(
            f"could not write {path}: {(error.strerror or str(error)).lower()};"
            " free space, or see --out"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # what stood in the way is told already
            temporary.unlink(missing_ok=True)
    return path
