"""What an experiment file may say, apart from the task's own sections: frozen and strict.

Every field carries its meaning and its unit. Two marks matter for a run's identity: `operational`
fields (device, workers) never enter it, `added` fields stay out while they hold their default, so
that a field which is new today does not rename yesterday's runs.

Units: inputs are examples seen, steps are optimizer updates, epochs are passes over the data.
"""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.config import JsonDict

from famulus.config.errors import Unfit

MARK = "famulus-identity"  # key of the mark in a field's JSON Schema
OPERATIONAL, ADDED = "operational", "added"

Direction = Literal["min", "max"]
Shape = Literal["constant", "cosine", "step", "plateau", "linear"]  # formulas: schedule.SHAPES
Severity = Literal["info", "warning", "error"]


class Strict(BaseModel):
    """Base of every section, also of a task's own: frozen, no unknown key, no NaN."""

    model_config = ConfigDict(
        # settings are shared between cells, and part of a name that is already given
        frozen=True,
        # a misspelt key would be a setting that changes nothing
        extra="forbid",
        allow_inf_nan=False,
        # a default that does not fit is a mistake of ours, and shows at once
        validate_default=True,
        validate_by_name=True,
        validate_by_alias=True,
        # Pydantic keeps names that begin with `model_` for itself; a section may well have one.
        protected_namespaces=(),
    )
    # Of a task's Config: first stages that its file names beside the sections, and may leave out.
    parents: ClassVar[tuple[str, ...]] = ()
    optional_parents: ClassVar[tuple[str, ...]] = ()


def operational(default: Any, description: str, **limits: Any) -> Any:
    """A field that says how to run, not what is computed: never part of a run's identity."""
    extra: JsonDict = {MARK: OPERATIONAL}
    return Field(default=default, description=description, json_schema_extra=extra, **limits)


def added(default: Any, description: str, **limits: Any) -> Any:
    """A field newer than the first release: outside the identity while it holds its default."""
    extra: JsonDict = {MARK: ADDED}
    return Field(default=default, description=description, json_schema_extra=extra, **limits)


class Sparse(Strict):
    """A section that is written without its empty fields: `{epochs: 1.0}`."""

    @model_serializer(mode="wrap")
    def _without_nulls(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in write(self).items() if v is not None}


class Every(Sparse):
    """An interval, in exactly one unit."""

    inputs: int | None = Field(None, gt=0, description="interval in examples seen")
    steps: int | None = Field(None, gt=0, description="interval in optimizer updates")
    epochs: float | None = Field(None, gt=0, description="interval in passes over the data")

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        given = [k for k in ("inputs", "steps", "epochs") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(
                "expected exactly one of inputs, steps and epochs, "
                f"received {' and '.join(given) or 'none'}"
            )
        return self

    def in_inputs(self, per_step: int, per_epoch: int) -> float:
        """The interval in examples seen, where a step and an epoch have so many of them."""
        if self.inputs is not None:
            return self.inputs
        if self.steps is not None:
            return self.steps * per_step
        assert self.epochs is not None  # exactly one is set
        return self.epochs * per_epoch


class Optimizer(Strict):
    """Any torch.optim optimizer, with any of its options; training checks the options' names."""

    model_config = ConfigDict(extra="allow")

    name: str = Field("adam", pattern=r"^\w+$", description="torch.optim's name, in any case")
    lr: float = Field(1e-3, ge=0, description="learning rate at the schedule's top")

    @property
    def options(self) -> dict[str, Any]:
        """What goes to torch's constructor beside the parameters and `lr`."""
        return dict(self.model_extra or {})


class Schedule(Sparse):
    """Learning rate over inputs: a linear warm-up, then the named shape."""

    name: Shape = Field("constant", description="shape after the warm-up")
    final_lr: float = Field(0.0, ge=0, description="lowest rate: reached at the end by a shape")
    warmup_inputs: int = Field(0, ge=0, description="examples of linear warm-up from 0 to lr")
    every: Every | None = Field(None, description="step: interval between two reductions")
    factor: float | None = Field(None, gt=0, lt=1, description="step, plateau: lr times this (0.1)")
    score: str | None = Field(None, description="plateau: score that is watched (val/loss)")
    direction: Direction | None = Field(
        None, description="plateau: min or max; follows a declared score"
    )
    patience: int | None = Field(
        None, ge=0, description="plateau: validations without progress that are borne (10)"
    )
    min_delta: float | None = Field(None, ge=0, description="plateau: smallest progress (0)")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        """A shape's own options get their defaults; other shapes' options stay null."""
        own = OWN_OPTIONS.get(str(given.get("name"))) if isinstance(given, dict) else None
        if own is None:
            return given
        return given | {k: v for k, v in own.items() if given.get(k) is None and v is not None}

    @model_validator(mode="after")
    def _own_options_only(self) -> Self:
        own = OWN_OPTIONS.get(self.name, {})
        foreign = [k for k in ALL_OPTIONS if k not in own and getattr(self, k) is not None]
        if foreign:
            raise Unfit(
                f"schedule {self.name} has no option {foreign[0]}: "
                f"expected {', '.join(['final_lr', 'warmup_inputs', *own])}",
                "option-without-effect",
            )
        if self.name == "step" and self.every is None:
            raise ValueError("schedule step needs every, as {epochs: 10} or {inputs: 50_000}")
        return self


OWN_OPTIONS: dict[str, dict[str, Any]] = {
    "step": {"every": None, "factor": 0.1},
    "plateau": {
        "score": "val/loss",
        "direction": None,
        "factor": 0.1,
        "patience": 10,
        "min_delta": 0.0,
    },
}
ALL_OPTIONS = tuple(dict.fromkeys(key for own in OWN_OPTIONS.values() for key in own))


class Clip(Sparse):
    """Gradient clipping, by exactly one of norm and value; a bare number means the norm."""

    norm: float | None = Field(None, gt=0, description="largest global gradient norm")
    value: float | None = Field(None, gt=0, description="largest absolute gradient entry")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.norm is None) == (self.value is None):
            raise ValueError("expected a number, {norm: n} or {value: v}")
        return self


class Keep(Strict):
    """Which checkpoints stay."""

    # two: the newest may be damaged
    last: int = Field(2, ge=1, description="number of newest checkpoints")
    milestones: Every | None = Field(None, description="interval of checkpoints that stay for good")
    best: str | None = Field("val/loss", description="score whose best checkpoint stays")
    direction: Direction | None = Field(None, description="min or max; follows a declared score")


class Stop(Strict):
    """Early stop."""

    score: str = Field("val/loss", description="score that is watched")
    direction: Direction | None = Field(None, description="min or max; follows a declared score")
    patience: int = Field(10, ge=1, description="validations without progress before the stop")
    min_delta: float = Field(0.0, ge=0, description="smallest change that counts as progress")


class Spike(Strict):
    """What to do when the loss jumps."""

    factor: float = Field(10.0, gt=1, description="times the recent median loss")
    action: Literal["stop", "rollback", "report"] = Field("report", description="what to do")


class Training(Strict):
    """How one run is trained. Exactly one of `inputs` and `epochs` is its budget."""

    inputs: int | None = Field(None, gt=0, description="budget in examples seen")
    epochs: float | None = Field(None, gt=0, description="budget in passes over the data")
    batch: int = Field(64, gt=0, description="examples in a batch")
    accumulate: int = Field(1, gt=0, description="batches to an optimizer update")
    optimizer: Optimizer = Field(Optimizer(), description="torch.optim name, lr, its options")
    schedule: Schedule = Field(Schedule(), description="learning rate over the budget")
    clip: Clip | None = Field(None, description="gradient clipping: null, norm, {norm:}, {value:}")
    ema: float | None = Field(None, gt=0, lt=1, description="decay a step of averaged weights")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="arithmetic")
    # what every generator takes
    seed: int = Field(0, ge=0, lt=2**63, description="seed of every random stream")
    validate_every: Every | None = Field(Every(epochs=1), description="null: at the end only")
    checkpoint_every: Every | None = Field(Every(epochs=1), description="null: at the end only")
    pictures_every: Every | None = Field(Every(epochs=5), description="null: at the end only")
    # each log waits for the device
    log_every: Every | None = Field(Every(steps=20), description="null: at validations only")
    keep: Keep = Field(Keep(), description="which checkpoints stay")
    stop: Stop | None = Field(None, description="early stop, or null")
    on_nan: Literal["stop", "rollback", "report"] = Field("stop", description="at NaN or Inf")
    spike: Spike | None = Field(None, description="what to do when the loss jumps, or null")
    device: Literal["auto", "cpu", "cuda"] = operational("auto", "where to train")
    workers: int | None = operational(None, "loader threads, null: chosen", ge=0)
    threads: int | None = operational(None, "CPU threads of torch, null: chosen", ge=1)
    probes: bool | Every = operational(
        True, "measure the layers at sampled steps: true (ever rarer), false, or an interval"
    )

    @field_validator("clip", mode="before")
    @classmethod
    def _bare_number_is_a_norm(cls, value: Any) -> Any:
        # True is an int to Python.
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"norm": value}
        if value is None or isinstance(value, dict | Clip):
            return value
        raise ValueError(
            f"expected null, a number, {{norm: n}} or {{value: v}}, received {value!r}"
        )

    @model_validator(mode="after")
    def _no_contradictions(self) -> Self:
        if (self.inputs is None) == (self.epochs is None):
            received = "neither" if self.inputs is None else "both"
            raise ValueError(f"expected exactly one of inputs and epochs, received {received}")
        if self.inputs is not None and self.schedule.warmup_inputs >= self.inputs:
            raise ValueError(
                f"expected schedule.warmup_inputs below inputs = {self.inputs}, "
                f"received {self.schedule.warmup_inputs}"
            )
        if (
            self.schedule.name in ("cosine", "linear")
            and self.schedule.final_lr > self.optimizer.lr
        ):
            raise ValueError(
                f"expected schedule.final_lr of at most optimizer.lr = {self.optimizer.lr!r}, "
                f"received {self.schedule.final_lr!r}"
            )
        if self.validate_every is None and (self.stop or self.schedule.name == "plateau"):
            user = "stop" if self.stop else "schedule plateau"
            raise ValueError(f"{user} counts validations: expected validate_every, received null")
        rolls_back = self.on_nan == "rollback" or (self.spike and self.spike.action == "rollback")
        if self.checkpoint_every is None and rolls_back:
            raise ValueError("rollback needs checkpoints: expected checkpoint_every, received null")
        return self


PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
ORDER = re.compile(r"\s*[^<>]+?\s*(?:<\s*[^<>]+?\s*)+|\s*[^<>]+?\s*(?:>\s*[^<>]+?\s*)+")


class ScoreExpect(Strict):
    """A score's value in the cells of `where`, within a tolerance."""

    score: str = Field(description="name of a score, as val/loss")
    where: dict[str, JsonValue] = Field({}, description="matrix values of the cells meant")
    value: float = Field(description="the value expected, in the score's unit")
    within: str | float = Field("10%", description="share as 10%, or absolute in the score's unit")

    @field_validator("within")
    @classmethod
    def _tolerance(cls, within: str | float) -> str | float:
        if isinstance(within, str) and not PERCENT.fullmatch(within):
            raise ValueError(f"expected a share as 10% or a number, received {within!r}")
        if not isinstance(within, str) and within < 0:
            raise ValueError(f"expected a number of at least 0, received {within!r}")
        return within

    @property
    def tolerance(self) -> float:
        """Largest allowed |score - value|, in the score's unit."""
        if isinstance(self.within, str):
            return abs(self.value) * float(self.within.rstrip("% ")) / 100
        return self.within


class OrderExpect(Strict):
    """How a score orders the values of one matrix axis."""

    order: str = Field(description="name of a score, as val/loss")
    by: str = Field(description="the matrix axis compared")
    says: str = Field(description="values of that axis, as `bilinear < nearest`")
    in_: Literal["every pair", "mean"] = Field(
        "every pair",
        alias="in",
        description="every pair of cells that differ in `by` alone, or the means over all others",
    )
    where: dict[str, JsonValue] = Field({}, description="matrix values of the cells meant")

    @field_validator("says")
    @classmethod
    def _reads_as_an_order(cls, says: str) -> str:
        if not ORDER.fullmatch(says):
            raise ValueError(f"expected values as `a < b` or `a > b > c`, received {says!r}")
        return says

    @property
    def ascending(self) -> list[str]:
        """The values of `by` as text, the lowest score first."""
        sign = "<" if "<" in self.says else ">"
        values = [value.strip() for value in self.says.split(sign)]
        return values if sign == "<" else values[::-1]


class FindingExpect(Strict):
    """A finding that must appear, or `none`: none at this severity or above."""

    finding: str = Field(description="a cause (`famulus causes`), or none")
    severity: Severity = Field("warning", description="lowest severity that counts")
    where: dict[str, JsonValue] = Field({}, description="matrix values of the cells meant")


FORMS = ("score", "order", "finding")


def _form(value: Any) -> str | None:
    names = value if isinstance(value, dict) else vars(value) if isinstance(value, Strict) else ()
    return next((f"{form} promise" for form in FORMS if form in names), None)


Expect = Annotated[
    Annotated[ScoreExpect, Tag("score promise")]
    | Annotated[OrderExpect, Tag("order promise")]
    | Annotated[FindingExpect, Tag("finding promise")],
    Discriminator(
        _form,
        custom_error_type="expect_form",
        custom_error_message="expected one of score:, order: and finding:",
    ),
]


class Cost(Strict):
    """Prices, for the forecast and the journal."""

    per_hour: float = Field(0.0, ge=0, description="price of an hour of the machine")
    per_gb_month: float = Field(0.0, ge=0, description="price of storing 1 GB for a month")
    currency: str = Field("EUR", min_length=1, max_length=8, description="currency's code")


class Experiment(Strict):
    """A whole file, or one cell of it. A task's parent keys (`codes:`) are checked apart."""

    why: str = Field(min_length=1, description="the question, in a sentence")
    task: str = Field(min_length=1, description="name of a task's file")
    name: str | None = operational(
        None, description="experiment's name, instead of its file's path"
    )
    matrix: dict[str, Any] | None = Field(None, description="axes; exclude, then include")
    replicates: int = Field(1, ge=1, description="runs of each cell, seeds seed, seed + 1, ...")
    data: dict[str, Any] = Field({}, description="the task's data section")
    model: dict[str, Any] = Field({}, description="the task's model section")
    loss: dict[str, Any] = Field({}, description="the task's loss section")
    training: Training = Field(description="how a run is trained")
    start_from: str | None = Field(
        None, description="weights: RUN@best, RUN@last, RUN@STEP or a model folder's path"
    )
    expect: tuple[Expect, ...] = Field((), description="expectations, which the page judges")
    cost: Cost | None = Field(None, description="prices, or null")

    @field_validator("start_from")
    @classmethod
    def _names_a_checkpoint(cls, value: str | None) -> str | None:
        # a path has a slash: only that tells `./digits` from a run's id
        if value is not None and not re.fullmatch(r"\S+@(best|last|\d+)|[^/]*/.+", value):
            raise ValueError(
                "expected RUN@best, RUN@last or RUN@STEP, or the path of a model folder (./NAME),"
                f" received {value!r}"
            )
        return value
