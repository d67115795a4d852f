"""What each kind of event holds: the contract between whoever writes a run and whoever reads it.

An event is one line of JSON. `step` counts optimizer updates, `inputs` examples seen, `s` seconds
of training over all attempts. What is NotRequired is absent where it was not measured; a reader
leaves out kinds that it does not know.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict


class Event(TypedDict):
    """What every event says."""

    kind: str
    step: int
    inputs: int


class TrainEvent(Event):
    """Means since the last log."""

    s: float
    values: Mapping[str, float]  # loss parts by name, `total` among them
    lr: float
    rate: float  # inputs a second
    wait: NotRequired[float]  # share of the time spent waiting for data
    grad_norm: NotRequired[float]  # of the last step, before clipping
    watts: NotRequired[float]
    sd: NotRequired[float | None]  # of `total` over the steps of a log; a monitor's loop
    count: NotRequired[int]  # of these steps
    not_finite: NotRequired[bool]
    lr_changes: NotRequired[int]  # of the learning rate from update to update; a monitor's loop
    lr_turns: NotRequired[int]  # of these, from falling to rising


class ValEvent(Event):
    """Scores of the whole validation set."""

    s: float
    values: Mapping[str, float]


class FloorEvent(Event):
    """What a net that has learned nothing scores."""

    score: str
    value: float
    means: str


class MarkEvent(Event):
    """Something happened: growth, a reduced rate, a loss that is not finite, a person's note."""

    what: str
    text: str


class ControlEvent(Event):
    """What one experiment on the experiment found: see diagnosis/controls."""

    name: str
    verdict: str
    text: str
    remedy: str
    figures: Mapping[str, Any]
    cause: str
    changes: NotRequired[list[Mapping[str, Any]]]  # {"path", "value"} of settings that it names


class ProbeEvent(Event):
    """Layers at a sampled step: see diagnosis/probes."""

    layers: list[Mapping[str, Any]]
    batch: Mapping[str, Mapping[str, Any]]
    rank: Mapping[str, Any] | None
    memory_mb: float
    more: NotRequired[int]  # layers that were left out
    forms: NotRequired[Mapping[str, Any]]  # of loss, outputs and targets; a monitor's loop
    code: NotRequired[Mapping[str, float]]  # of a VAE: kl, sigma, active, code
    codebook: NotRequired[Mapping[str, float]]  # perplexity, used, vectors; size where it is known
    end: NotRequired[Mapping[str, Any]]  # of the last layer's features: see probes.features
    features: NotRequired[Mapping[str, float]]  # the same of those that a loop hands over
    loop: NotRequired[Mapping[str, Any]]  # passes of a monitor's loop: probes.passes.Passes.facts


class PictureEvent(Event):
    """One picture; `file` lies below the run's folder."""

    name: str
    file: str
    labels: list[str]
    caption: str
    confusion: NotRequired[Mapping[str, Any]]  # names of K classes, counts K x K: true, answered


class FindingEvent(TypedDict):
    """A verdict with evidence; its `step` is where it shows, if anywhere."""

    kind: str
    step: int | None
    inputs: int
    cause: str
    severity: str
    evidence: str
    remedy: str
    consequences: list[str]
    under: str
    changes: NotRequired[list[Mapping[str, Any]]]  # {"path", "value"} of settings in the remedy


class FactsEvent(TypedDict, total=False):
    """What is known of a run before its first step, and what was concluded later: the newest hold.

    Of a task's own facts those that anybody reads; what it only shows may have any name.
    """

    kind: str
    step: int
    inputs: int
    parameters: int
    device: str
    precision: Mapping[str, Any]
    threads: int
    train_samples: int
    validation_samples: int
    data_notes: list[str]
    leaks: list[str]  # those of them that make validation scores flatter
    copies: list[str]  # those of them that count validation samples which are in training, too
    budget: int  # inputs in all
    memory_mb: float | None  # forecast
    inherited: Mapping[str, float] | None  # seconds and energy_wh of a child's parent
    scores: Mapping[str, Any]  # what they mean, as config.scores writes it
    graph: Mapping[str, Any]  # of a monitored loop's loss
    start: list[Mapping[str, Any]]  # of a monitored loop's layers, as bridges.starts reads them
    held: Mapping[str, int]  # tensors that its optimizers hold, and how many are the model's own
    validation_mode: str  # of a monitored loop's last validation: training or evaluation
    evaluation_since: int  # the step from which on a watched training is in evaluation mode
    validation_inputs: Mapping[str, float]  # mean, std, min, max of its first batches; a watch
    epochs: int  # walks over the DataLoader that a watched script trains on
    advice: str
    loss: str
    loss_scale: str
    noisy_targets: bool
    numbers: int
    resized: bool | None
    without_effect: list[str]
    changes: Mapping[str, Any]
    targets: str


KINDS: dict[str, type] = {
    "train": TrainEvent, "val": ValEvent, "floor": FloorEvent, "mark": MarkEvent,
    "control": ControlEvent, "probe": ProbeEvent, "picture": PictureEvent,
    "finding": FindingEvent, "facts": FactsEvent,
}  # fmt: skip


def roots(findings: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The grave causes that no other explains, by the newest word on each: for who lists runs."""
    newest = {str(f.get("cause")): f for f in findings}
    grave = {c: f for c, f in newest.items() if f.get("severity") in ("warning", "error")}
    return [
        {"cause": cause, "severity": str(f["severity"])}
        for cause, f in grave.items()
        if not f.get("under")
    ]
