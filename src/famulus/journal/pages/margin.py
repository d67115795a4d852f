"""What stands beside and below the title of an entry: date and cost, and chips of its state."""

from famulus.journal.facts.entry import Entry
from famulus.journal.facts.numbers import duration, plural

TONES = {"failed": "bad", "interrupted": "warn", "running": "warn", "planned": "soft"}


def entry_margin(entry: Entry) -> list[str]:
    """Date, end, cells, time, energy and price."""
    states, history, cost = entry.runs.states, entry.history, entry.cost
    total, done = sum(states.values()), states.get("finished", 0)
    lines = [history.date]
    if entry.runs.complete and history.ended:
        lines.append(f"finished {history.ended[11:16]}")
    lines.append(f"{plural(total, 'run')}, {done} done" if total else "")
    lines.append(duration(cost.seconds) if cost.seconds else "")
    lines.append(cost.energy)
    if cost.price:
        amount, currency = cost.price
        lines.append(f"{currency} {amount:.2f}")
    lines.append(f"task {entry.task}" if entry.task else "")
    return [line for line in lines if line]


def entry_chips(entry: Entry) -> list[tuple[str, str]]:
    """(tone, text): promises, findings, state, replicates."""
    chips = []
    if entry.promises:
        states = [p.state for p in entry.promises]
        tone = "bad" if "broken" in states else "good" if set(states) == {"kept"} else "soft"
        promised = plural(len(states), "promise")
        unjudged = set(states) == {"not yet"}
        kept = f"{states.count('kept')} of {promised} kept"
        chips.append((tone, f"{promised} open" if unjudged else kept))
    grave = [f for f in entry.findings if f.severity in ("warning", "error")]
    if grave:
        tone = "bad" if any(f.severity == "error" for f in grave) else "warn"
        chips.append((tone, plural(len(grave), "finding")))
    for state, n in entry.runs.states.items():
        if state != "finished":
            chips.append((TONES.get(state, "soft"), f"{n} {state}"))
    most = max(entry.cells.replicates, default=0)
    if most > 1:
        chips.append(("soft", f"{most} replicates a cell"))
    return chips
