"""The learning rate still to come, as a function of inputs."""

import math
from collections.abc import Callable
from typing import Any

Rate = Callable[[float], float]  # learning rate at a number of inputs


def schedule_rate(
    schedule: Any, lr: float, budget_inputs: float, every_inputs: float | None = None
) -> Rate:
    """Learning rate over inputs of a schedule as in the experiment file (mapping or object).

    `every_inputs` is a step schedule's interval. Raises ValueError for `plateau`, whose future
    depends on scores, and for unknown names.
    """

    def get(key: str, default: Any) -> Any:
        found = schedule.get(key) if isinstance(schedule, dict) else getattr(schedule, key, None)
        return default if found is None else found

    name, final, warmup = get("name", "constant"), get("final_lr", 0.0), get("warmup_inputs", 0)
    factor = get("factor", 0.1)
    if name not in ("constant", "cosine", "linear", "step"):
        raise ValueError(f"expected constant, cosine, linear or step, received {name!r}")
    if name == "step" and not every_inputs:
        raise ValueError("expected every_inputs with a step schedule, received none")

    def rate(inputs: float) -> float:
        if inputs < warmup:
            return lr * inputs / warmup
        share = min(1.0, (inputs - warmup) / max(1.0, budget_inputs - warmup))
        if name == "cosine":
            return final + (lr - final) * (1 + math.cos(math.pi * share)) / 2
        if name == "linear":
            return lr + (final - lr) * share
        if name == "step":
            return max(final, lr * factor ** (inputs // every_inputs))
        return lr

    return rate
