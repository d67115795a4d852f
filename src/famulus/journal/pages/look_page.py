"""The page of a look at data: one file, with all its pictures in it."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from famulus.images.contact_sheet import png, row
from famulus.journal.pages.html import page

TABLE, SIZES = 100, 12  # rows of the tables; the rest is counted


class Survey(Protocol):
    """A set of pictures or a volume that was looked at."""

    @property
    def name(self) -> str: ...

    @property
    def notes(self) -> list[str]: ...

    @property
    def leaks(self) -> list[str]: ...

    @property
    def usage(self) -> str: ...

    def facts(self) -> list[tuple[str, str]]: ...


def look_page(
    survey: Survey,
    title: str,
    rows: Mapping[str, Sequence[np.ndarray]],
    rows_title: str,
    classes: Mapping[str, tuple[int, int]] | None = None,
    sizes: Sequence[tuple[str, int]] = (),
    commands: str = "",
) -> str:
    """HTML. `rows`: tiles by label; `classes`: (training, validation) counts."""
    counted = [(label, *counts) for label, counts in (classes or {}).items()]
    return page(
        "look.html.j2",
        home="",
        title=title,
        name=survey.name,
        notes=[("bad" if note in survey.leaks else "warn", note) for note in survey.notes],
        facts=survey.facts(),
        rows=[_shown(label, tiles) for label, tiles in rows.items() if tiles],
        more_rows=_more(len(counted) - len(rows), "more classes") if counted else "",
        more_classes=_more(len(counted) - TABLE, "more classes"),
        more_sizes=_more(len(sizes) - SIZES, "more sizes"),
        rows_title=rows_title,
        classes=counted[:TABLE],
        sizes=list(sizes)[:SIZES] if len(sizes) > 1 else [],
        usage=survey.usage,
        commands=commands,
    )


def _shown(label: str, tiles: Sequence[np.ndarray]) -> dict[str, Any]:
    pixels = row(tiles)
    src = "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
    return {"label": label, "src": src, "width": pixels.shape[1], "height": pixels.shape[0]}


def _more(count: int, what: str) -> str:
    return f"and {count:,} {what}" if count > 0 else ""
