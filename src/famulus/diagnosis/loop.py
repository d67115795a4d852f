"""What rules read of a loop of one's own: the passes of its sampled steps, and whether they matter.

`probes.passes` writes them; a run of `famulus run`, and one of an older version, has none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from famulus.diagnosis.contract import operations
from famulus.diagnosis.history import History
from famulus.diagnosis.learning import of_history

UPDATE = "update"
ENOUGH, WELL = 0.3, 0.9  # of a baseline's error gone: learned in spite of it, and well


def samples(history: History) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(step, passes) of each sampled step that was looked at."""
    for probe in history.probes:
        if probe.get("loop"):
            yield probe["step"], probe["loop"]


def gradients(history: History) -> dict[int, list[tuple[int, Mapping[str, float]]]]:
    """(step, norms) wherever a gradient arrived and somebody updates, by the optimizer's number."""
    found: dict[int, list[tuple[int, Mapping[str, float]]]] = {}
    for step, loop in samples(history):
        if UPDATE not in loop.get("order", (UPDATE,)):  # which a closure's step does not tell
            continue
        for number, norms in enumerate(loop.get("gradients") or ()):
            if norms:
                found.setdefault(number, []).append((step, norms))
    return found


def starts(history: History) -> list[Mapping[str, Any]]:
    """Of each layer with weights, as `bridges.starts` reads them; [] where nobody has."""
    found = history.facts.get("start")
    layers = found if isinstance(found, list) else []
    return [layer for layer in layers if isinstance(layer, Mapping) and "name" in layer]


def bare_logarithm(history: History) -> bool:
    """Does the loss take a logarithm of the outputs that nothing keeps from 0?

    `log(p + 1e-8)` and `log(p.clamp(1e-8))` have an operation more between it and the outputs; of
    a net whose outputs are that logarithm nobody knows.
    """
    names = operations(history)
    if "Log" not in names:
        return False
    before = names[names.index("Log") :]
    return not any(name.startswith(("Add", "Clamp", "Maximum")) for name in before)


def severity(history: History) -> str:
    """Of what is wrong by construction."""
    return "warning" if of_history(history).gained(ENOUGH) else "error"


def of_choice(history: History) -> str:
    """Severity of what is unusual, and right for somebody: the more the less a run has learned."""
    judged = of_history(history)
    if judged.held_out and judged.gained(WELL):
        return "info"
    return "error" if judged.gained(ENOUGH) is False else "warning"


def variable(history: History, number: int) -> str:
    """What the script calls the optimizer of this number."""
    several = history.owner.script.optimizers
    one = several[number] if number < len(several) else {}
    return str(one.get("variable") or "optimizer")
