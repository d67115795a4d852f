"""The controls of `famulus check`, with what each costs and how it is handed its functions."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch

from famulus.diagnosis.controls import Control, rate
from famulus.diagnosis.controls.duplicates import duplicates
from famulus.diagnosis.controls.floors import floors, initial_loss
from famulus.diagnosis.controls.input_use import KINDS, input_use
from famulus.diagnosis.controls.moves import moves
from famulus.diagnosis.controls.noise_scale import gradient_noise
from famulus.diagnosis.controls.overfit import STEPS, overfit
from famulus.diagnosis.controls.randomness import randomness
from famulus.diagnosis.controls.ranges import ranges
from famulus.diagnosis.controls.resume import resume
from famulus.diagnosis.controls.sizes import batch_sizes, parameters, workers
from famulus.diagnosis.controls.split import labels, split
from famulus.diagnosis.controls.targets import FEW, targets
from famulus.diagnosis.controls.validation import validation
from famulus.launch.bench import inputs, of_data, of_net, of_resume
from famulus.launch.bench.trial import Trial

LEARNED = 60  # steps of a short training on true, zeroed, shuffled and noise input
LEAST = 15  # steps below which a short training says nothing
NOISED = 8  # batches of gradients
TRIED = 40  # steps at a rate

Found = Iterable[Control]


@dataclass(frozen=True)
class Entry:
    """A control by name. `least` and `wanted`: seconds that it must have and would like."""

    name: str
    wanted: Callable[[Trial], float]
    run: Callable[[Trial, float], Found]
    least: Callable[[Trial], float] = lambda trial: 0.0


def _floors(trial: Trial, limit_s: float) -> Iterator[Control]:
    stated = trial.floors
    net = trial.net()
    net.model.eval()
    with torch.no_grad():
        trial.streams.validation()
        untrained = trial.task.scores(net.model, iter([dict(trial.held)]))
    yield from floors(stated.values(), untrained)
    theory = stated.get("initial loss")
    if theory is None:
        yield Control("initial loss", "skipped", "the task states no theory of it")
        return
    measured = untrained.get(theory.score, math.nan)
    yield initial_loss(theory.score, theory.value, measured)


def _ranges(trial: Trial, limit_s: float) -> Iterator[Control]:
    net = trial.net()
    with inputs.watched(net.model) as calls:
        net.parts(trial.frozen)
    count = len(trial.frozen["index"])
    given = [a for call in calls[:1] for a in call.arguments if a.is_floating_point()]
    named = {f"input {i + 1}": a for i, a in enumerate(g for g in given if len(g) >= count)}
    yield ranges({k: v for k, v in trial.frozen.items() if k != "index"}, named)


def _split(trial: Trial, limit_s: float) -> Iterator[Control]:
    parts = (trial.data.train, True), (trial.data.validation, False)
    found = [of_data.columns(of_data.some(s, of_data.FEW, limit_s / 2, t)) for s, t in parts]
    yield split(*found)


def _labels(trial: Trial, limit_s: float) -> Iterator[Control]:
    counted = of_data.class_counts(trial)
    if counted is not None:
        yield labels(*counted, of_data.confusion(trial, limit_s))


def _duplicates(trial: Trial, limit_s: float) -> Iterator[Control]:
    found = of_data.found_copies(trial, limit_s)
    if found is None:
        yield Control("duplicates", "skipped", "samples are no pictures: nothing to compare")
    else:
        yield duplicates(found)


def _randomness(trial: Trial, limit_s: float) -> Iterator[Control]:
    yield randomness(of_data.drawn(trial))


def _parameters(trial: Trial, limit_s: float) -> Iterator[Control]:
    model = trial.net().model
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    yield parameters(of_net.layers(model), trained)


def _self_tests(trial: Trial, limit_s: float) -> Iterator[Control]:
    net = trial.net()
    trial.streams.validation()
    for test in trial.task.self_tests(net.model, dict(trial.frozen)):
        verdict, cause = ("ok", "") if test.passed else ("failed", test.cause)
        yield Control(test.name, verdict, test.text, "" if test.passed else test.remedy, {}, cause)


def _moves(trial: Trial, limit_s: float) -> Iterator[Control]:
    changes = trial.task.facts().get("changes")
    exempt = f"{changes['what']}: they join later" if changes else ""
    yield moves(*of_net.moved(trial), of_net.MOVING, exempt)


def _validation(trial: Trial, limit_s: float) -> Iterator[Control]:
    yield validation(*of_net.validated(trial))


def _resume(trial: Trial, limit_s: float) -> Iterator[Control]:
    yield resume(*of_resume.resumed(trial))


def _free(trial: Trial, limit_s: float) -> Iterator[Control]:
    yield of_net.free(_on_cpu(trial))


def _on_cpu(trial: Trial) -> Trial:
    """Free answers may leave a loss's range, and a GPU does not survive that."""
    return trial if trial.device.type == "cpu" else Trial(trial.cell, torch.device("cpu"))


def _overfit_steps(trial: Trial, limit_s: float) -> int:
    return int(min(STEPS, max(LEAST, limit_s / trial.small_s / 2)))


def _overfit(trial: Trial, limit_s: float) -> Iterator[Control]:
    steps = trial.overfit_steps = _overfit_steps(trial, limit_s)
    model = trial.net().model
    weights = sum(p.numel() for p in model.parameters() if p.requires_grad)
    numbers = max(v.numel() for v in trial.frozen.values())
    yield overfit(
        lambda kind, factor: trial.fit(kind, factor, steps, noisy=kind != "true"),
        trial.part,
        trial.best,
        weights=weights,
        numbers=numbers,
        faster=_faster(trial),
    )


def _faster(trial: Trial) -> float | None:
    """What the range test suggests, over the configured rate; where the test was run."""
    suggestion = trial.sweep.suggestion if "sweep" in vars(trial) else None
    lr = trial.training.optimizer.lr
    return suggestion / lr if suggestion and lr else None


def _targets(trial: Trial, limit_s: float) -> Iterator[Control]:
    found = of_net.looks(_on_cpu(trial))
    if found is None:
        yield Control("targets", "skipped", "the loss does not call the net once with a batch")
        return
    steps = trial.overfit_steps or _overfit_steps(trial, limit_s)
    fit = (lambda frozen: trial.fit("true", 1.0, steps, fresh=not frozen)) if _few(trial) else None
    yield targets(found, len(trial.data.train), fit, trial.best)


def _few(trial: Trial) -> bool:
    """Else nobody wants them by heart."""
    return len(trial.data.train) <= FEW


def _input(trial: Trial, limit_s: float) -> Iterator[Control]:
    count = 1 + len(KINDS)
    steps = int(min(LEARNED, max(LEAST, limit_s / trial.short_s / count / 2)))
    fitted = trial.overfit_steps or _overfit_steps(trial, limit_s)
    if not _called(trial):
        yield Control("input", "skipped", "the loss does not call the net with a batch")
        return
    yield input_use(
        lambda kind: of_net.learn(trial, kind, steps),
        lambda kind, factor: trial.fit(kind, factor, fitted, noisy=True),
        trial.part,
    )


def _called(trial: Trial) -> bool:
    net = trial.net()
    with inputs.watched(net.model) as calls:
        net.parts(trial.frozen)
    return any(a.ndim > 1 for call in calls for a in call.arguments)


def _rate(trial: Trial, limit_s: float) -> Iterator[Control]:
    share = limit_s / trial.small_s
    trial.sweep_steps = int(min(rate.STEPS, max(30, share / 2)))
    steps = int(min(TRIED, max(LEAST, share / 6)))
    summed, updates = trial.summed_rate()
    spec = trial.training.optimizer
    budget = rate.Budget(spec.name, spec.lr, summed, updates)
    yield rate.rate(trial.sweep, lambda value: of_net.tried(trial, value, steps), budget)


def _noise(trial: Trial, limit_s: float) -> Iterator[Control]:
    count = int(min(NOISED, max(2, limit_s / trial.step_s)))
    found = of_net.gradients(trial, count)
    if len(found) < 2:
        yield Control("gradient noise", "skipped", "a batch is too small to be halved")
        return
    yield gradient_noise(found, trial.training.batch)


def _sizes(trial: Trial, limit_s: float) -> Iterator[Control]:
    rows = list(of_net.sizes(trial, limit_s))
    power = "as nvidia-smi says" if any(r.power_w for r in rows) else "no GPU to ask"
    yield batch_sizes(rows, trial.training.batch, power)


def _workers(trial: Trial, limit_s: float) -> Iterator[Control]:
    yield workers(of_net.loader_speeds(trial, limit_s))


def _steps(count: float) -> Callable[[Trial], float]:
    return lambda trial: count * trial.step_s


def _small(count: float) -> Callable[[Trial], float]:
    return lambda trial: count * trial.small_s


def _fixed(seconds: float) -> Callable[[Trial], float]:
    return lambda trial: seconds


ENTRIES = (
    Entry("parameters", _fixed(0.01), _parameters),
    Entry("labels", _fixed(0.5), _labels),
    Entry("range", _fixed(0.1), _ranges),
    Entry("randomness", _fixed(0.4), _randomness),
    Entry("floor", _fixed(0.3), _floors),
    Entry("split", _fixed(1.5), _split),
    Entry("duplicates", _fixed(3.0), _duplicates),
    Entry("self tests", _fixed(0.4), _self_tests),  # a task knows its own mistakes best
    Entry("weights move", _steps(3), _moves, _steps(3)),
    Entry("validation", _steps(4), _validation),
    Entry("resume", _steps(6), _resume, _steps(6)),
    Entry("free output", lambda t: 1.0 + 3 * t.small_s, _free),
    Entry("loader threads", _fixed(3.0), _workers),
    Entry("gradient noise", _steps(8), _noise, _steps(2)),
    Entry("batch sizes", _steps(24), _sizes, _steps(4)),
    Entry("learning rate", _small(220), _rate, _small(60)),
    Entry("overfit one batch", _small(2 * STEPS), _overfit, _small(4 * LEAST)),
    Entry("targets", lambda t: (2 * STEPS if _few(t) else 5) * t.small_s, _targets),
    Entry(
        "input",  # behind the frozen batch, whose fits it takes over
        lambda t: 4 * LEARNED * t.short_s + 3 * STEPS * t.small_s,
        _input,
        lambda t: 4 * LEAST * t.short_s,
    ),
)


def names() -> list[str]:
    return [entry.name for entry in ENTRIES]
