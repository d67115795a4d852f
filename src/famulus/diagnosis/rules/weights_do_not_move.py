"""Weights that should be trained and stay what they were, bit for bit (K5).

Told apart by why: the optimizer does not have them, no gradient arrives, or every gradient is 0.
"""

from collections.abc import Mapping
from dataclasses import replace

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.contract import EVERYTHING
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import Layer, last_layers, series
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.loop import ENOUGH, samples, severity, starts
from famulus.diagnosis.remedy import Remedy, advise, line

CAUSE = "weights-do-not-move"
SUMMARY = "weights that should be trained stay bit for bit what they were"
SAMPLES = 3  # of the layer, none of which moved
MOST = 0.5  # of the trained numbers, that gradients of exactly 0 must leave where they are
MEANT = ("frozen", "freeze", "thaw_every", "grow")  # of a model: parts that stand still on purpose


def rule(history: History) -> Finding | None:
    if (found := _no_part(history)) is not None:
        return found
    model = history.section("model")
    if any(model.get(key) for key in MEANT) or not any(e.get("lr") for e in history.train):
        return None
    still: dict[str, list[tuple[int, Layer]]] = {}
    trained_numbers = 0
    for name, seen in series(history).items():
        known = [(step, v) for step, v in seen if v["numbers"] and v.get("moved") is not None]
        trained = [pair for pair in known if pair[1].get("trainable", True)]
        trained_numbers += trained[-1][1]["numbers"] if trained else 0
        if len(trained) >= SAMPLES and not any(v["moved"] for _, v in trained):
            still[name] = trained
    zero = [
        n for n, seen in still.items() if seen[-1][1].get("held") and seen[-1][1].get("grad") == 0
    ]
    if sum(still[n][-1][1]["numbers"] for n in zero) < MOST * trained_numbers:
        for name in zero:  # a layer for labels where there are none, units that are off
            del still[name]
    excused = set() if of_history(history).gained(0.05) is False else _on_purpose(history, still)
    if set(still) - excused:  # what is no fault is not counted with it
        still = {name: seen for name, seen in still.items() if name not in excused}
    if not still:
        return _random_for_ever(history)
    name, seen = max(still.items(), key=lambda pair: pair[1][-1][1]["numbers"])
    step, layer = seen[-1]
    numbers = sum(v[-1][1]["numbers"] for v in still.values())
    rest = len(still) - 1
    others = f" and {rest} more layer{'s' * (rest > 1)}" if rest else ""
    if layer.get("held") is False:
        why, do = _not_held(history), _hold(history, name if excused else "")
    elif layer.get("calls") == 0 and layer.get("grad") is None:
        why, do = "it is never called", Remedy("call it in forward, or remove it")
    elif layer.get("grad") is None:
        why = "no gradient arrives"
        do = Remedy("look for detach, no_grad, argmax or a copy on the way to the loss")
    elif not layer["grad"]:
        why = "every gradient is 0"
        do = Remedy("look for dead or saturated units behind the layer")
    else:
        why = f"a gradient of {layer['grad']:.2g} arrives, and nothing moves"
        do = advise(history.owner, rates.step(history, rates.higher(history), layer=name))
    exact = layer.get("held") is False or layer.get("grad") is None  # whatever the training does
    return Finding(
        CAUSE,
        "info" if set(still) <= excused else _severity(history, set(still)),
        f"layer {name} ({layer['type']}){others}, {numbers:,} weights, stayed the same bit for bit"
        f" in {len(seen)} sampled steps up to step {step:,}: {why}",
        do.text,
        changes=do.changes,
        step=seen[0][0],
        consequences=EVERYTHING if exact and not set(still) <= excused else (),
    )


def _no_part(history: History) -> Finding | None:
    """Modules that the model calls without having them, as those in a plain list."""
    known = [(step, loop["strangers"]) for step, loop in samples(history) if loop.get("strangers")]
    if len(known) < SAMPLES or len(known) < len(list(samples(history))):
        return None
    strangers = known[-1][1]
    numbers = sum(module["numbers"] for module in strangers)
    kinds = ", ".join(sorted({module["type"] for module in strangers}))
    return Finding(
        CAUSE,
        severity(history),
        f"in {len(known)} sampled steps the model called {len(strangers)} modules ({kinds};"
        f" {numbers:,} weights) that are no part of it: its parameters() does not list theirs, no"
        " optimizer has them",
        advise(history.owner, line("nn.ModuleList(layers)", "in the place of a plain list")).text,
        step=known[0][0],
        consequences=EVERYTHING,
    )


def _random_for_ever(history: History) -> Finding | None:
    """Most of a model asks for no gradient, and was never trained."""
    fresh, known = _fresh(history), {str(layer["name"]) for layer in starts(history)}
    layers = [v for v in last_layers(history) if v["numbers"] and v["name"] in known]
    frozen = [v for v in layers if not v.get("trainable", True) and v["name"] in fresh]
    numbers = sum(v["numbers"] for v in frozen)
    learned = of_history(history).gained(ENOUGH)
    if learned or not frozen or numbers < MOST * sum(v["numbers"] for v in layers):
        return None
    return Finding(
        CAUSE,
        "warning" if learned is None else "error",
        f"{len(frozen)} layers with {numbers:,} weights, {frozen[0]['name']} first, ask for no"
        " gradient and are still as torch draws them: nobody has ever trained them",
        advise(
            history.owner,
            line("parameter.requires_grad_(True)", "of all of them, before the optimizer is made"),
        ).text,
        step=0,
    )


def _severity(history: History, still: set[str]) -> str:
    """Where all that stands still has never been trained, somebody may want it random."""
    return severity(history) if still <= _fresh(history) else "error"


def _fresh(history: History) -> set[str]:
    """Layers that still are as torch draws them: what is frozen on purpose has been trained."""
    return {str(layer["name"]) for layer in starts(history) if layer.get("fresh")}


def _not_held(history: History) -> str:
    held = history.facts.get("held") or {}
    if held.get("tensors") and held.get("own") == 0:
        return f"of the {held['tensors']:,} tensors that the optimizer holds none is the model's"
    return "the optimizer does not have them"


def _on_purpose(history: History, still: Mapping[str, list[tuple[int, Layer]]]) -> set[str]:
    """Layers of a loop of one's own that may well be meant to stand still.

    Those before the last one that the optimizer has, unless they are as torch has drawn them: who
    fine-tunes a head leaves the rest out, and trained the rest before. And
    those that nothing calls, as a head of pretrained weights that the task does not need. A task
    passes what it means to train.
    """
    if history.owner.is_file:
        return set()
    held = [n for n, v in enumerate(last_layers(history)) if v.get("held")]
    before = {str(v["name"]) for v in last_layers(history)[: max(held, default=0)]}
    ends = {name: seen[-1][1] for name, seen in still.items()}
    left_out = {name for name, v in ends.items() if v.get("held") is False and name in before}
    left_out -= _fresh(history)
    return left_out | {n for n, v in ends.items() if v.get("calls") == 0 and v.get("grad") is None}


def _hold(history: History, frozen: str) -> Remedy:
    """The optimizer with all parameters; of a layer that may be frozen on purpose, the word for
    that."""
    if frozen:
        freeze = line(lambda script: f"{script.place(frozen) or frozen}.requires_grad_(False)")
        return advise(history.owner, replace(freeze, why="if that is meant: saves its gradients"))
    script = history.owner.script
    if history.owner.is_file or len(script.optimizers) > 1:
        return Remedy("pass the model's parameters to it")
    return Remedy(script.construction(f"{script.model}.parameters(), ..."))
