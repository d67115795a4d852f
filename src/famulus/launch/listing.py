"""`famulus status` as text."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

SHOWN = 8  # experiments that a sentence names


def _name(row: dict[str, Any], several: bool) -> str:
    """The cell; of a fork, whose slug is its parent's, '1a2b3c + training.optimizer.lr=0.01'.

    `several`: other runs have the slug, too; then what was set beside the file joins it.
    """
    if row.get("repeats"):
        return f"{row['slug']} (repeats {row['repeats'][:6]})"
    if row.get("overrides") is None:
        beside = [one for one in row.get("set") or [] if not one.startswith("matrix.")]
        return " + ".join([str(row["slug"]), *([", ".join(beside)] if several and beside else [])])
    parent = str(row.get("parent") or "")[-12:][:6]
    # null frees what another override sets instead
    changed = [one for one in row["overrides"] if not one.endswith("=null")]
    return " + ".join([parent, ", ".join(changed) or "no changes"])


def _causes(findings: Any) -> str:
    """'posterior-collapse (error), 1 more', of those that nothing else explains."""
    if not findings:
        return ""
    more = f", {len(findings) - 1} more" if len(findings) > 1 else ""
    return f"{findings[0]['cause']} ({findings[0]['severity']}){more}"


def status_lines(
    rows: Sequence[dict[str, Any]], asked: str | None = None, known: Sequence[str] = ()
) -> Iterator[str]:
    """Experiments as headings, a line a run below them.

    `asked`: the one experiment whose runs they are; `known`: those of the store.
    """
    if not rows and asked and known:
        more = ", ..." if len(known) > SHOWN else ""
        yield f"no runs of {asked!r}: the store has {', '.join(known[:SHOWN])}{more}"
        return
    if not rows:
        yield "no runs yet: famulus new tiles -o experiments/first.yaml, then famulus run"
        return
    # by path: the same computation has one id in every experiment
    slugs = Counter((row["experiment"], row["slug"]) for row in rows)
    names = {row["path"]: _name(row, slugs[row["experiment"], row["slug"]] > 1) for row in rows}
    width = max(map(len, names.values()))
    experiment = None
    for row in rows:
        if row["experiment"] != experiment:
            experiment = row["experiment"]
            yield experiment
        inputs = f"{row['inputs']:>12,} inputs" if row.get("inputs") else " " * 19
        loss = (row.get("scores") or {}).get("val/loss")
        value = f"val/loss {loss:.5g}" if isinstance(loss, int | float) else ""
        notes = [row.get("reason") or row.get("error") or "", _causes(row.get("findings"))]
        if notes[1] and notes[1].split(" ")[0] in notes[0]:
            notes.pop()  # the reason names its cause
        if row.get("parent_gone"):
            notes.append(f"its parent {str(row['parent'])[-12:]} is gone")
        note = "; ".join(n for n in notes if n)
        name = names[row["path"]]
        line = f"  {row['id']}  {name:<{width}}  {row['status']:<11} {inputs}  {value} {note}"
        yield line.rstrip()
