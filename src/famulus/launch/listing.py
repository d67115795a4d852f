"""`famulus status` as text."""

from collections.abc import Iterator, Sequence
from typing import Any


def _fork(row: dict[str, Any]) -> str:
    """'forked from 1a2b3c with training.optimizer.lr=0.01': its slug is that of its parent."""
    if not row.get("parent"):
        return ""
    changed = ", ".join(row.get("overrides") or [])
    return f"forked from {row['parent'][:6]}" + (f" with {changed}" if changed else "")


def _causes(findings: Any) -> str:
    """'posterior-collapse (error), 1 more', of those that nothing else explains."""
    if not findings:
        return ""
    more = f", {len(findings) - 1} more" if len(findings) > 1 else ""
    return f"{findings[0]['cause']} ({findings[0]['severity']}){more}"


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
        notes = [row.get("reason") or row.get("error") or "", _causes(row.get("findings"))]
        note = "; ".join(n for n in [_fork(row), *notes] if n)
        line = (
            f"  {row['id']}  {row['slug']:<{width}}  {row['status']:<11} {inputs}  {value} {note}"
        )
        yield line.rstrip()
