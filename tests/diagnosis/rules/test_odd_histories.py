"""No rule breaks on a run that is odd: its findings are written at its end, and would end it."""

import importlib
import math
import pkgutil
from itertools import product

import pytest

from famulus.diagnosis import rules
from famulus.diagnosis.history import from_events
from famulus.diagnosis.verdict import diagnose, judge
from tests.diagnosis.recorded import recorded

STEPS = range(0, 160, 8)
NAN, INF = math.nan, math.inf
LOSSES = {
    "zero": lambda n: 0.0,
    "constant": lambda n: 1.5,
    "falling below zero": lambda n: 1.0 - 0.2 * n,
    "huge": lambda n: 1e30 * (n + 1),
    "not finite": lambda n: NAN if n > 5 else 1.0,
    "never a number": lambda n: NAN,
    "infinite": lambda n: INF,
    "below all": lambda n: -INF,
    "straight": lambda n: 2.0 - 0.05 * n,
    "jumping": lambda n: 1e3 if n % 3 == 0 else 1e-3,
}
RULES = [
    importlib.import_module(f"{rules.__name__}.{entry.name}")
    for entry in pkgutil.iter_modules(rules.__path__)
]


def layer(update=0.0, grad=0.0, name="0", **more):
    return {"name": name, "type": "Linear", "numbers": 8, "weight": 0.0, "update": update,
            "grad": grad, "dead": 1.0, "saturated": None} | more  # fmt: skip


DEAD = layer()


def events(loss, lr, floor, validated, steps=STEPS, layers=(DEAD,), **more):
    yield {"kind": "floor", "score": "loss", "value": floor, "means": "best constant"}
    for n, step in enumerate(steps):
        at = {"step": step, "inputs": 4 * step, "s": 0.0}
        yield {"kind": "train", **at, "values": {"total": loss(n)}, "lr": lr, "rate": 0.0}
        yield {"kind": "probe", **at, "layers": list(layers), "batch": {}, "rank": None,
               "memory_mb": 0.0, **more}  # fmt: skip
        if validated and n % 4 == 3:
            yield {"kind": "val", **at, "values": {"loss": loss(n), "l1": 0.0}}


def unbroken(history):
    """Every rule by itself: `judge` would go on without it."""
    for module in RULES:
        module.rule(history)
    verdict = judge(history)
    assert verdict.skipped == ()
    assert all("nan" not in finding.remedy for finding in verdict.findings)


@pytest.mark.parametrize("task", ["own-loop", "tiles"])
@pytest.mark.parametrize("loss", LOSSES)
def test_no_rule_breaks(task, loss):
    for lr, floor, validated in product((0.0, 1e-3), (0.0, -0.5, 1.0), (True, False)):
        config = {"task": task, "training": {"optimizer": {"name": "sgd", "lr": lr}}}
        unbroken(from_events(config, events(LOSSES[loss], lr, floor, validated)))


FIGURES = ("weight", "grad", "update", "mean", "std", "zeros", "dead", "saturated", "numbers")
VALUES = {"zero": 0.0, "one": 1.0, "tiny": 1e-300, "huge": 1e300, "NaN": NAN, "infinite": INF}
ADAM = {"class": "Adam", "lr": 1e-3, "holds": ["0", "1"]}
CONFIGS = {
    "empty": {},
    "without settings": {"training": {}},
    "one": {"task": "own-loop", "training": {"optimizer": ADAM}},
    "several": {"task": "own-loop", "training": {"optimizers": [ADAM, {**ADAM, "lr": 0.0}]}},
    "several of none": {"task": "own-loop", "training": {"optimizers": [ADAM, {"class": "SGD"}]}},
    "one in a list": {"task": "own-loop", "training": {"optimizers": [ADAM]}},
    "a file's": {"task": "tiles", "training": {"optimizer": {"name": "adam", "lr": 1e-3}}},
}


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("steps", [(), (0,), (1,), (0, 1), STEPS], ids=len)
def test_nor_on_few_steps_or_none(config, steps):
    for loss, validated in product(LOSSES.values(), (True, False)):
        layers = [layer(name="0"), layer(0.1, 0.2, name="1", weight=1.0)]
        kinds = list(events(loss, 1e-3, 1.0, validated, steps, layers))
        for kept in (kinds, *([e for e in kinds if e["kind"] != k] for k in ("train", "probe"))):
            unbroken(from_events(CONFIGS[config], kept))


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("value", VALUES)
def test_nor_on_a_net_whose_figures_are_odd(config, value):
    """Weights, gradients or all else that is zero, no number or beyond any: one, or everything."""
    odd = VALUES[value]
    batch = {
        name: dict.fromkeys(("min", "max", "mean", "std", "spread"), odd)
        for name in ("inputs", "outputs", "targets")
    }
    forms = {"left": odd, "loss": "mse", "factor": 1.0}
    more = {"batch": batch, "forms": forms, "rank": {"rank": odd, "of": 5}}
    usual = dict.fromkeys(FIGURES, 0.1) | {"numbers": 8, "trainable": True}
    for kind, figures in product(("Linear", "Tanh"), (FIGURES, *((name,) for name in FIGURES))):
        same = usual | dict.fromkeys(figures, odd) | {"type": kind}
        layers = [layer(name=str(n)) | same for n in range(5)]
        for loss in (LOSSES["constant"], LOSSES["never a number"]):
            for kept in (more, {}):
                made = events(loss, 0.1, 1.0, True, STEPS, layers, **kept)
                unbroken(from_events(CONFIGS[config], made))


def without(value):
    """The same with one thing less, wherever that may be."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {k: v for k, v in value.items() if k != key}
            yield {**value, key: None}
            yield from ({**value, key: other} for other in without(inner))
    elif isinstance(value, list):
        yield []
        for n, inner in enumerate(value):
            yield from ([*value[:n], other, *value[n + 1 :]] for other in without(inner))


def test_nor_where_any_key_is_missing():
    tensor = {"min": -1.0, "max": 1.0, "mean": 0.0, "std": 1.0, "spread": 1.0}
    form = {"left": 1.0, "loss": "mse", "factor": 1.0, "finite": True, "classes": 1}
    form |= {"targets": "real", "outputs": "real", "output_shape": [4, 1], "target_shape": [4]}
    probe = {
        **{"kind": "probe", "step": 0, "inputs": 0, "memory_mb": 0.0},
        "layers": [layer(0.1, 0.1, str(n), weight=1.0, type="Tanh", moved=True) for n in range(5)],
        "batch": {name: tensor for name in ("inputs", "outputs", "targets")},
        "rank": {"rank": 1.0, "of": 4},
        "forms": form,
        "code": {"kl": 0.0, "sigma": 1.0, "active": 0, "code": 4},
    }
    graph = {"loss": ["MseLoss"], "ops": {"Tanh": 5}, "output": "Softmax", "hidden": True}
    facts = {"kind": "facts", "graph": graph, "budget": 9, "train_samples": 9, "validation_samples":
             9, "validation_inputs": tensor}  # fmt: skip
    config = CONFIGS["one"] | {"data": {"pool": 4, "reload": 8}, "model": {"kind": "vae"}}
    rest = list(events(LOSSES["jumping"], 1e-3, 1.0, True))
    for other in [probe, *without(probe)]:
        odd = [{**other, "step": step} for step in (0, 1, 2)] if other.get("kind") else []
        unbroken(from_events(config, [facts, *rest, *odd]))
    for other in without(facts):
        unbroken(from_events(config, [other, *rest, probe, probe, probe]))
    for other in without(config):
        unbroken(from_events(other, [facts, *rest, probe, probe, probe]))
    for other in without(rest[1]):
        unbroken(from_events(config, [facts, *rest, *[other] * 3, probe]))


def test_a_rule_that_breaks_is_named_and_the_others_go_on(monkeypatch):
    history = recorded("tiles-dead-bias")
    whole = diagnose(history)
    assert len(whole) > 1

    def broken(history):
        raise ValueError("no median for empty data")

    causes = {finding.cause for finding in whole}
    for module in RULES:
        with monkeypatch.context() as patch:
            patch.setattr(module, "rule", broken)
            verdict = judge(history)
        text = f"rule {module.CAUSE} was skipped: ValueError: no median for empty data"
        # the last one is asked only where nothing is found
        assert verdict.skipped in ((text,), ())
        assert verdict.skipped or module.CAUSE == "cannot-tell"
        assert causes - {f.cause for f in verdict.findings} <= {module.CAUSE}


def test_a_control_that_says_what_it_should_not_is_named_and_the_others_go_on():
    damaged = {"kind": "control", "name": "floor", "verdict": "failed", "text": "", "remedy": "",
               "cause": "input-unused", "figures": {}, "changes": ["training.batch"]}  # fmt: skip
    sound = {**damaged, "name": "split", "cause": "split-differs", "changes": []}
    verdict = judge(from_events({}, [damaged, sound]))
    assert [finding.cause for finding in verdict.findings] == ["split-differs"]
    (text,) = verdict.skipped
    assert text.startswith("control floor was skipped: AttributeError: ")
