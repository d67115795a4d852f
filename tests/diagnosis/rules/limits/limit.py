"""A limit of a rule, and the histories that it is shown on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from famulus.diagnosis.history import Finding, History

PER_STEP = 8  # inputs
RATE = 0.01


@dataclass(frozen=True)
class Limit:
    """`history(faulty)` shows the fault, `history(silent)` lies just on the other side.

    Both figures are written down here, not read from the rule, so that a limit that moves is seen.
    `constant` names the limit in the rule's module ("" for a literal or a kind), or, with a dot, in
    a module beside it. `says`: where a limit decides on the words, the severity or the
    consequences, and the fault is named on both sides.
    """

    rule: ModuleType
    constant: str
    history: Callable[[Any], History]
    silent: Any
    faulty: Any
    says: Callable[[Finding], bool] | None = None

    def __str__(self) -> str:
        name = self.rule.__name__.rsplit(".", 1)[-1]
        return f"{name}-{self.constant}-{self.silent}-{self.faulty}"

    def names(self, figure: Any) -> bool:
        finding = self.rule.rule(self.history(figure))
        if finding is None:
            return False
        return finding.cause == self.rule.CAUSE and (self.says is None or self.says(finding))


def run(
    losses: Sequence[float] = (),
    val: Sequence[dict[str, float]] = (),
    *,
    floors: dict[str, float] | None = None,
    **fields: Any,
) -> History:
    """A training loss a step, validations spread evenly over the steps (one a step without any).

    `floors`: what the best constant scores. `fields` of History; sections are added to its config.
    """
    steps = len(losses) or len(val)
    train = [
        {"step": n, "inputs": PER_STEP * n, "lr": RATE, "values": {"total": loss}}
        for n, loss in enumerate(losses, 1)
    ]
    validations = []
    for n, values in enumerate(val, 1):
        step = n * steps // len(val)
        validations.append({"step": step, "inputs": PER_STEP * step, "values": values})
    config = {"training": {"batch": PER_STEP, "optimizer": {"lr": RATE}}}
    stated = [
        {"score": score, "means": "best constant", "value": value}
        for score, value in (floors or {}).items()
    ]
    config |= fields.pop("config", {})
    return History(config, **{"train": train, "val": validations, "floors": stated} | fields)
