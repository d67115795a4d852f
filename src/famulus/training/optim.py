"""Optimizer, patience and clipping; the learning rate itself is `famulus.schedule`."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from famulus.config.errors import ConfigError, SettingError
from famulus.config.nearest import suggestion
from famulus.config.schema import Optimizer

FUSED = frozenset({"Adam", "AdamW", "SGD", "Adagrad"})  # one kernel for all parameters of a device

NAME = ("training", "optimizer", "name")  # where a file says it
UNFIT = {  # of torch.optim, for this loop
    "lbfgs": "evaluates the loss many times a step, on one whole set",
    "sparseadam": "takes sparse gradients only, which no model here has",
}


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """The class of `torch.optim` with this name, in any case. Raises ConfigError with a list."""
    known = {
        key.lower(): value
        for key, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer)
    }
    known.pop("optimizer", None)  # the base class, which has no step
    if name.lower() in UNFIT:
        raise SettingError(NAME, f"{name} {UNFIT[name.lower()]}; try adam")
    if name.lower() not in known:
        problem = f"torch.optim has no {name!r}; {suggestion(name, known)}"
        raise SettingError(NAME, problem, "unknown-setting")
    return known[name.lower()]


def check_options(spec: Optimizer) -> None:
    """Raises ConfigError if an option is not one of this optimizer's."""
    kind = optimizer_class(spec.name)
    allowed = set(inspect.signature(kind.__init__).parameters) - {"self", "params", "lr"}
    for key in spec.options:
        if key not in allowed:
            problem = f"{kind.__name__} has no such option; {suggestion(key, allowed)}"
            raise SettingError((*NAME[:2], key), problem, "unknown-setting")


def build_optimizer(
    spec: Optimizer, groups: Sequence[dict[str, Any]], device: torch.device
) -> torch.optim.Optimizer:
    """The optimizer over `groups`; fused where torch has a fused kernel for it."""
    check_options(spec)
    kind: Any = optimizer_class(spec.name)  # whose options are its own, and were checked
    options = dict(spec.options)
    # Fused kernels refuse complex weights.
    plain = all(p.is_floating_point() for group in groups for p in group["params"])
    # What a person chose stays, and torch refuses both at once.
    chosen = {"fused", "foreach"} & options.keys()
    if kind.__name__ in FUSED and plain and not chosen and device.type in ("cpu", "cuda"):
        options["fused"] = True
    try:
        # Copies of the groups: torch writes its defaults into those it is given.
        return kind([dict(group) for group in groups], lr=spec.lr, **options)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"training.optimizer: {kind.__name__} refuses this: {error}") from error


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Every group gets `rate` times its own `lr_scale` (layer-wise learning rates)."""
    for group in optimizer.param_groups:
        # set at each step, from the position: no scheduler whose state could be lost
        group["lr"] = rate * group.get("lr_scale", 1.0)


@dataclass
class Patience:
    """Validations since a score was last better: for early stopping and for plateaus."""

    direction: str | None  # min (None too) | max
    patience: int  # validations without a better score that are borne
    min_delta: float = 0.0  # improvement below this does not count
    score: str = ""  # whose values these are
    best: float | None = None
    bad: int = 0

    @property
    def over(self) -> bool:
        """Whether the score has not been better for more than `patience` times."""
        return self.bad > self.patience

    def exhausted(self, value: float) -> bool:
        """Takes a new score: `over` with it. NaN and infinities are never better."""
        sign = -1 if self.direction == "max" else 1
        # strictly: a score that stands still is not better
        better = self.best is None or sign * (self.best - value) > self.min_delta
        if math.isfinite(value) and better:
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        return self.over

    def state(self) -> dict[str, Any]:
        return asdict(self)

    def restore(self, state: Mapping[str, Any]) -> None:
        """The counters only: limits come from the configuration, which an override may change.

        Counters of another score or direction say nothing of this one.
        """
        if state["direction"] == self.direction and state.get("score", self.score) == self.score:
            self.best, self.bad = state["best"], state["bad"]


def clip_gradients(parameters: Sequence[nn.Parameter], clip: Any) -> Tensor | None:
    """Clips in place, by total L2 norm or by value; returns the norm before clipping, if known.

    No wait for the device: the norm stays a tensor.
    """
    if clip is None:
        return None
    if clip.value is not None:
        # the norm would cost a pass over all gradients that nobody asked for
        nn.utils.clip_grad_value_(parameters, clip.value)
        return None
    # An error here would wait for the device; the guard judges at the next log anyway.
    return nn.utils.clip_grad_norm_(parameters, clip.norm, error_if_nonfinite=False)
