"""What a loop of one's own calls its parts, so that a remedy is a line of that very script.

Read from the settings that `bridges.watched` writes: the model (`class`, `variable`, `modules` as
`features.3: ReLU`) and one or several optimizers (`class`, `variable`, `at` as `train.py:37`,
`holds`: modules whose weights it updates). What is not known has a plain name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Optimizer = Mapping[str, Any]
SHOWN = 3  # optimizers in one remedy
NORMS = ("BatchNorm", "GroupNorm", "LayerNorm", "InstanceNorm", "RMSNorm")
OF_SEQUENCES = ("LSTM", "GRU", "RNN", "Attention", "Transformer", "Embedding")


@dataclass(frozen=True)
class Script:
    """`config`: the settings of a watched loop; of anything else every answer is a plain one."""

    config: Mapping[str, Any]

    @property
    def model(self) -> str:
        return str(_section(self.config, "model").get("variable") or "model")

    @cached_property
    def modules(self) -> dict[str, str]:
        """Class by dotted name; not of the model itself."""
        listed = _section(self.config, "model").get("modules")
        pairs = [str(line).split(": ", 1) for line in listed] if isinstance(listed, list) else []
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    @property
    def optimizers(self) -> list[Optimizer]:
        training = _section(self.config, "training")
        several = training.get("optimizers")
        known = several if isinstance(several, list) else [training.get("optimizer")]
        return [one for one in known if isinstance(one, Mapping)]

    # -- layers

    def place(self, layer: str) -> str:
        """`net.features[3]`, which Python takes; '' for what is no module with such a name."""
        if layer not in self.modules:
            return ""
        parts = layer.split(".")
        if not all(part.isidentifier() or part.isdecimal() for part in parts):
            return ""
        return self.model + "".join(f"[{p}]" if p.isdecimal() else f".{p}" for p in parts)

    def layer(self, name: str, kind: str) -> str:
        """`net.features.3 (ReLU)`, as people read it."""
        return f"{self.model}.{name} ({kind})" if name in self.modules else f"{name} ({kind})"

    def has(self, *kinds: str) -> bool:
        """Is any module of a class with one of these in its name?"""
        return any(kind in name for name in self.modules.values() for kind in kinds)

    @property
    def norm(self) -> str:
        """The class in torch.nn of a norm over batches that suits these layers."""
        if self.has(*OF_SEQUENCES):
            return "LayerNorm"
        return next((f"BatchNorm{n}d" for n in (3, 2) if self.has(f"Conv{n}d")), "BatchNorm1d")

    # -- optimizers

    def holder(self, layer: str = "") -> Optimizer | None:
        """The optimizer that updates a layer; the only one, or None where that is not known."""
        if len(self.optimizers) == 1:
            return self.optimizers[0]
        return next((o for o in self.optimizers if layer and layer in (o.get("holds") or ())), None)

    def optimizer(self, layer: str = "") -> str:
        """Its name in the script."""
        holder = self.holder(layer) or next(iter(self.optimizers), {})
        return str(holder.get("variable") or "optimizer")

    def construction(self, arguments: str, name: str = "", holder: Optimizer | None = None) -> str:
        """`Adam(lr=0.0003) at train.py:37`; of several optimizers with what it is assigned to.

        name: another class than the one in use.
        """
        own = holder or self.holder() or next(iter(self.optimizers), {})
        name = name or str(own.get("class") or own.get("name") or "Optimizer")
        line = f"{name}({arguments})"
        if len(self.optimizers) > 1 and own.get("variable"):
            line = f"{own['variable']} = {line}"
        return f"{line} at {own['at']}" if own.get("at") else line

    def placed(self, line: str) -> str:
        """`Adam(lr=0.01)` with the place where that optimizer is made."""
        name, _, arguments = line.removesuffix(")").partition("(")
        return self.construction(arguments, name)

    def learning_rates(self, rate: float, times: float | None, layer: str = "") -> str:
        """`rate` for the first optimizer; for the others `times` what they have.

        Of the one that updates `layer`, or of all where that is not known.
        """
        holder = self.holder(layer)
        chosen = [holder] if holder else self.optimizers[:SHOWN] or [{}]
        lines = list(self._rates(chosen, rate, times))
        rest = 0 if holder else len(self.optimizers) - len(lines)
        more = [f"so on for {rest} more"] if rest > 0 else []
        return " and ".join(lines + more)

    def _rates(self, chosen: list[Optimizer], rate: float, times: float | None) -> Iterator[str]:
        for one in chosen:
            lr = one.get("initial_lr") or one.get("lr")
            scaled = rate
            if self.optimizers and one is not self.optimizers[0] and times and lr:
                scaled = float(f"{lr * times:.2g}")
            if one.get("max_lr"):  # a one-cycle schedule sets the optimizer's own rate aside
                yield f"OneCycleLR({one.get('variable') or 'optimizer'}, max_lr={scaled!r})"
            else:
                yield self.construction(f"lr={scaled!r}", holder=one)


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name)
    return value if isinstance(value, Mapping) else {}
