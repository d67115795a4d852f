"""A page as a person reads it: its text by sections, its lists, its tables; no tags."""

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

BLOCKS = {
    *("p", "li", "tr", "h1", "h2", "h3", "h4", "dt", "dd", "figcaption", "caption", "article"),
    *("section", "div", "ul", "ol", "table", "pre", "summary", "details", "aside", "thead", "dl"),
    *("option", "figure", "header", "footer", "nav", "main", "tbody", "svg"),
}
VOID = {"meta", "link", "img", "input", "br", "hr", "path", "rect", "circle", "line"}
ENDED_BY = {"th": ("th", "td", "tr"), "td": ("th", "td", "tr"), "li": ("li",), "tr": ("tr",),
            "option": ("option",), "dt": ("dt", "dd"), "dd": ("dt", "dd")}  # fmt: skip


@dataclass
class Node:
    """An element, with text (str) and elements in order."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    parts: "list[Node | str]" = field(default_factory=list)

    def all(self, *tags: str, kind: str = "") -> "list[Node]":
        """Elements below this one, in order; with a class `kind`, if one is named."""
        below = []
        for part in self.parts:
            if isinstance(part, Node):
                if part.tag in tags and (not kind or kind in part.classes):
                    below.append(part)
                below += part.all(*tags, kind=kind)
        return below

    @property
    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()

    @property
    def text(self) -> str:
        """One line a block; spaces as a browser would set them."""
        lines = re.split(r"\n+", self._flat())
        return "\n".join(line for raw in lines if (line := " ".join(raw.split())))

    def _flat(self) -> str:
        if self.tag in ("script", "style"):
            return ""
        inner = "".join(p if isinstance(p, str) else p._flat() for p in self.parts)
        if self.tag == "pre":
            return f"\n{inner}\n"
        inner = f"\n{inner}\n" if self.tag in BLOCKS else inner
        return f" {inner} " if self.tag in ("td", "th", "button", "text", "label", "i") else inner


class _Tree(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Node("")
        self.open = [self.root]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.open[-1].tag in ENDED_BY and tag in ENDED_BY[self.open[-1].tag]:
            self.open.pop()
        node = Node(tag, dict(attrs))
        self.open[-1].parts.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        for n in range(len(self.open) - 1, 0, -1):
            if self.open[n].tag == tag:
                del self.open[n:]
                return

    def handle_data(self, data: str) -> None:
        # inside <pre> a line end is one; elsewhere it is a space
        kept = any(node.tag == "pre" for node in self.open)
        self.open[-1].parts.append(data if kept else data.replace("\n", " "))


@dataclass(frozen=True)
class Row:
    """A line of the table of results: `cells` by heading, length of its bar (0..1), its link."""

    cells: dict[str, str]
    bar: float | None
    best: bool
    href: str

    def __getitem__(self, name: str) -> str:
        """The cell under a heading that is or begins with `name`."""
        exact = [v for k, v in self.cells.items() if k == name]
        return [*exact, *(v for k, v in self.cells.items() if k.startswith(name))][0]


class Page:
    """One HTML page."""

    def __init__(self, path: Path) -> None:
        self.html = path.read_text(encoding="utf-8")
        self.root = _Tree(self.html).root
        self.main = next(iter(self.root.all("main")), self.root)

    @property
    def text(self) -> str:
        return self.main.text

    @property
    def title(self) -> str:
        return self.main.all("h1")[0].text

    @property
    def lead(self) -> str:
        """From the title to the second heading: what a person reads first."""
        return "\n".join(self._between()[:2])

    def section(self, pattern: str) -> str:
        """Text under the headings (h2) that match; '' if there is none."""
        heads = [h.text for h in self.main.all("h2")]
        parts = self._between()[1:]
        pairs = zip(heads, parts, strict=True)
        return "\n".join(text for head, text in pairs if re.search(pattern, head, re.I))

    def _between(self) -> list[str]:
        """Text before the first h2, then that of each h2 with its heading."""
        body = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", self.html)
        main = body.partition("<main")[2].partition(">")[2].partition("</main>")[0] or body
        return [_Tree(piece).root.text for piece in re.split(r"(?=<h2\b)", main)]

    @property
    def expectations(self) -> list[tuple[str, str, str]]:
        """(sign, its label, the whole line) of each expectation."""
        lines = []
        for item in self.main.all("li"):
            for sign in item.all("span", "i", "b")[:2]:
                label = sign.attributes.get("aria-label") or sign.attributes.get("title")
                if sign.attributes.get("role") == "img" and label:
                    lines.append((sign.text, label, item.text))
        return lines

    @property
    def rows(self) -> list[Row]:
        """Of the table of results."""
        tables = [t for t in self.main.all("table") if "layers" not in t.classes]
        if not tables:
            return []
        heads = [th.text for th in tables[0].all("th")]
        lines = []
        for tr in tables[0].all("tr"):
            cells = tr.all("td")
            if not cells:
                continue
            named = {h: c.text for h, c in zip(heads, cells, strict=False)}
            links = [a.attributes.get("href") or "" for a in tr.all("a")]
            best = "best" in tr.classes
            lines.append(Row(named, _bar(tr), best, next(iter(links), "")))
        return lines

    @property
    def curves(self) -> list[dict[str, Any]]:
        """Series of the plots, as the page's own data give them: n its name, u its link."""
        blocks = [s for s in self.root.all("script") if "json" in str(s.attributes.get("type"))]
        data = [json.loads("".join(p for p in s.parts if isinstance(p, str))) for s in blocks]
        return [series for block in data for series in block.get("series", [])]


def _bar(row: Node) -> float | None:
    """The longest rectangle of a row's bar that is not the whole width by its class."""
    for svg in row.all("svg"):
        widths = [float(r.attributes.get("width") or 0) for r in svg.all("rect")]
        if len(widths) > 1:
            return widths[1] / max(widths)
        if widths:
            whole = float((svg.attributes.get("viewbox") or "0 0 1 1").split()[2])
            return widths[0] / whole
    return None
