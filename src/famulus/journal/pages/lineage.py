"""The lineage of runs as a small drawing: who goes on from whom, and how."""

from collections.abc import Callable, Sequence
from html import escape

from famulus.journal.facts import names
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.lineage import Edge
from famulus.journal.facts.runs import Runs

COLUMN, ROW, MOST = 300, 46, 40  # pixels, pixels, edges
SOLID = ("resume", "extend")
Namer = Callable[[str], tuple[str, str, str]]  # of a run's id: its name, words and link
WORDS = {"warm_start": "warm start", "resume": "resumed", "extend": "extended"}


def namer(runs: Runs, cells: Cells, prefix: str) -> Namer:
    """Words and links ('' for none) of the runs here; `prefix` leads to their pages."""
    known = {r.id: r for r in runs.all}

    def name(run: str) -> tuple[str, str, str]:
        record = known.get(run)
        if record is None:
            return run[:12], "removed" if run in runs.gone.values() else "", ""
        return record.id[:6], cells.name(record), prefix + names.run_page(record)

    return name


def draw(edges: Sequence[Edge], name: Namer) -> str:
    """SVG of at most `MOST` edges, with nodes as `name` names them.

    A parent stands left of its children. Lines are solid where the curve goes on, dashed where only
    weights or codes were taken over.
    """
    edges = edges[:MOST]
    if not edges:
        return ""
    children: dict[str, list[Edge]] = {}
    for edge in edges:
        children.setdefault(edge.parent, []).append(edge)
    roots = [p for p in children if p not in {e.child for e in edges}]
    place: dict[str, tuple[int, int]] = {}
    rows = 0

    def settle(node: str, depth: int) -> None:
        nonlocal rows
        # a run with two parents stands once, and a circle ends
        if node in place:
            return
        place[node] = (depth, rows)
        for n, edge in enumerate(children.get(node, [])):
            rows += n > 0
            settle(edge.child, depth + 1)

    # a circle has no root; damaged records may say one
    for root in roots or list(children)[:1]:
        settle(root, 0)
        rows += 1
    lines, words = [], []
    for edge in edges:
        # beyond what was drawn
        if edge.parent not in place or edge.child not in place:
            continue
        (a, b), (c, d) = place[edge.parent], place[edge.child]
        x1, y1, x2, y2 = a * COLUMN + 52, b * ROW + 20, c * COLUMN - 6, d * ROW + 20
        dash = "" if edge.kind in SOLID else ' stroke-dasharray="3 3"'
        lines.append(f'<path class="a" d="M{x1} {y1}H{x1 + 14}V{y2}H{x2}"{dash}/>')
        kind = WORDS.get(edge.kind, edge.kind)
        kind += f" @ {edge.checkpoint}" if edge.checkpoint else ""
        words.append(f'<text x="{x1 + 18}" y="{y2 - 4}">{escape(kind)}</text>')
    for node, (x, y) in place.items():
        text, cell, href = name(node)
        cell = cell if len(cell) <= 48 else cell[:47] + "…"
        label = f'<text class="node" x="{x * COLUMN}" y="{y * ROW + 24}">{escape(text)}</text>'
        words.append(f'<text x="{x * COLUMN}" y="{y * ROW + 38}">{escape(cell)}</text>')
        words.append(f'<a href="{escape(href)}">{label}</a>' if href else label)
    width = (max(x for x, _ in place.values()) + 1) * COLUMN - 40
    height = (max(y for _, y in place.values()) + 1) * ROW + 8
    return (
        f'<svg class="tree" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="lineage of runs">{"".join(lines)}{"".join(words)}</svg>'
    )
