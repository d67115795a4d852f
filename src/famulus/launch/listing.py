"""`famulus status` as text."""

from collections.abc import Iterator, Sequence
from typing import Any


def status_lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Experiments as headings, a line a run below them."""
    if not rows:
        yield "no runs yet: famulus new tiles -o experiments/first.yaml, then famulus run"
        return
    width = max(len(row["slug"]) for row in rows)
    experiment = None
    for row in rows:
        if row["experiment"] != experiment:
            experiment = row["experiment"]
            yield experiment
        inputs = f"{row['inputs']:>12,} inputs" if row.get("inputs") else " " * 19
        loss = (row.get("scores") or {}).get("val/loss")
        value = f"val/loss {loss:.5g}" if isinstance(loss, int | float) else ""
        notes = [row.get("reason") or row.get("error") or ""]
        if row.get("parent_gone"):
            notes.append(f"its parent {str(row['parent'])[-12:]} is gone")
        note = "; ".join(n for n in notes if n)
        line = (
            f"  {row['id']}  {row['slug']:<{width}}  {row['status']:<11} {inputs}  {value} {note}"
        )
        yield line.rstrip()
