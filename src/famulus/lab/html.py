"""How runs, tables and models show in a notebook: small, everything escaped.

Colours are the notebook's own, in light and dark: text as it is there, lines in its text's colour.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from famulus.journal.facts.numbers import figure

ROWS = 60  # of a table that are shown
LINE = "1px solid color-mix(in srgb,currentColor 25%,transparent)"
CELL = f"padding:2px 10px;text-align:left;border-top:{LINE}"
SOFT = "opacity:.7;font-size:.9em"


def table_html(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows under the names of their columns, in order of first appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f'<th style="{CELL}">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{CELL}">{escape(words(row.get(n)))}</td>' for n in names)
        + "</tr>"
        for row in rows[:ROWS]
    )
    more = f'<p style="{SOFT}">and {len(rows) - ROWS} more rows</p>' if len(rows) > ROWS else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div style="overflow-x:auto">{table}{more}</div>'


def facts_html(title: str, facts: Mapping[str, Any], sentences: Iterable[str] = ()) -> str:
    """A title, what is known under names, and sentences below."""
    pairs = "".join(
        f'<tr><th style="{CELL}">{escape(name)}</th><td style="{CELL}">{escape(words(value))}</td>'
        "</tr>"
        for name, value in facts.items()
    )
    items = "".join(f"<li>{escape(line)}</li>" for line in sentences)
    below = f"<ul>{items}</ul>" if items else ""
    table = f"<table><tbody>{pairs}</tbody></table>" if pairs else ""
    return f"<div><b>{escape(title)}</b>{table}{below}</div>"


def card_html(title: str, markdown: str) -> str:
    """A model's card; HTML in it stays text."""
    from famulus.journal.pages.html import notes_html  # slow to import

    shown = notes_html(markdown)
    return f'<div><p style="{SOFT}">{escape(title)}</p>{shown}</div>'


def words(value: Any) -> str:
    """A value in a cell: numbers rounded, lists joined, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(words(one) for one in value)
    return str(value)
