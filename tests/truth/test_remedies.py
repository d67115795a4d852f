"""Remedies that can be followed: keys that the task has, rates of the run's own order, nothing that
is in force already, and the form that the person has (a line of YAML, or one of Python).

The histories are those of tests/diagnosis/rules/limits: each shows the fault of one rule. Here they
are given the settings of a real file of each task.
"""

import copy
import functools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from famulus import Monitor, tasks
from famulus.config.errors import ConfigError
from famulus.config.experiment import read
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.verdict import diagnose
from tests.diagnosis.rules.limits import LIMITS
from tests.truth.shop import Shop

# what is called is Python: `model.parameters()`
KEY = re.compile(r"\b(?:training|model|data|loss)(?:\.[a-z_]\w*)+\b(?!\()")
PAIR = re.compile(rf"({KEY.pattern})\s*[:=]\s*([\w.+-]*\w)")
COMMAND = re.compile(r"famulus (check|run|resume|extend|rerun)\b")
OWN = "own-loop"
# causes that only runs of one task, or only monitored loops, can show
ONLY = {
    "codebook-collapsed": ("codes",), "codebook-not-started": ("codes",),
    "features-collapsed": ("pretext",), "shortcut": ("pretext",),
    "features-not-centred": ("pretext",), "labels-differ": ("transfer",),
    "targets-redrawn": ("pretext",), "memorises-the-pool": ("scroll",),
    "sampling-shift": ("scroll",), "one-degree-of-freedom": ("qsm",),
    "posterior-collapse": ("tiles",), "posterior-unused": ("tiles",),
    "loss-rises-with-growth": ("tiles",), "train-eval-gap": ("pretext",),
    "activation-twice": (OWN,),
    "loss-does-not-fit-output": (OWN,), "output-activation": (OWN,),
    "no-hidden-activation": (OWN,),
}  # fmt: skip
RULES = {limit.rule.CAUSE: limit for limit in LIMITS}  # a history that shows it, of each
NAMES = [name for name in tasks.names() if "tasks" in getattr(tasks.load(name), "__module__", "")]


@functools.cache
def text_of(name: str) -> str:
    stages = "".join(f"{key}: last\n" for key in getattr(tasks.load(name).Config, "parents", ()))
    return f"why: x\ntask: {name}\n{stages}training: {{epochs: 1}}\n"


@functools.cache
def _filled(name: str) -> dict[str, Any]:
    if name == OWN:
        chosen = {"name": "sgd", "lr": 0.01}
        modules = ["0: Linear", "1: ReLU", "2: Linear"]
        return {"why": "", "task": OWN, "matrix": {}, "model": {"class": "Net", "modules": modules},
                "training": {"seed": 0, "optimizer": chosen}}  # fmt: skip
    return dict(read(text_of(name), (), tasks.load).cells[0].config)


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    whole = copy.deepcopy(dict(base))
    for key, value in more.items():
        inner = whole.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        whole[key] = merged(inner, value) if both else copy.deepcopy(value)
    return whole


def of(cause: str, name: str, settings: Mapping[str, Any] | None = None) -> History:
    """The fault `cause` as a run of task `name`, with `settings` over those of its file."""
    limit = RULES[cause]
    history = limit.history(limit.faulty)
    own = {"training": {"batch": 8}} if name == OWN else {}
    config = merged(merged(_filled(name), merged(history.config, own)), settings or {})
    if name == OWN:
        config["training"].pop("batch", None)
    return replace(history, config=config)


def combinations() -> Iterator[tuple[str, str]]:
    for cause in sorted(RULES):
        for name in ONLY.get(cause, (*NAMES, OWN)):
            yield cause, name


def setting(config: Mapping[str, Any], dotted: str) -> Any:
    here: Any = config
    for part in dotted.split("."):
        here = here.get(part) if isinstance(here, Mapping) else None
    return here


@functools.cache
def known(name: str, key: str) -> bool:
    """Does a file of this task take the key? Asked of the reader, as a person would."""
    try:
        read(text_of(name), (f"{key}=null",), tasks.load)
    except ConfigError as error:
        return "unknown key" not in str(error)
    return True


def rate_of(finding: Finding) -> float | None:
    """The learning rate that a remedy names."""
    named = re.search(r"\blr\s*[:=]\s*([\d.]+(?:e[+-]?\d+)?)", finding.remedy)
    return float(named[1]) if named else None


def shown(cause: str, history: History) -> Finding:
    """The finding of that cause; the history must show it."""
    chosen = [f for f in diagnose(history) if f.cause == cause]
    assert chosen, f"{cause} is not found in its own history"
    return chosen[0]


def test_the_histories_are_many():
    assert len(RULES) > 20
    assert {"tiles", "codes", "prior", "pretext", "transfer", "qsm", "scroll"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_key_that_a_remedy_names_is_one_of_the_task(name):
    wrong = {}
    for cause, task in combinations():
        if task != name:
            continue
        for finding in diagnose(of(cause, name)):
            for key in KEY.findall(finding.remedy):
                if not known(name, key):
                    wrong[finding.cause] = key
    assert not wrong


def test_a_key_is_told_from_a_call():
    assert KEY.findall("model.norm: batch; or training.clip (1.0)") == [
        "model.norm",
        "training.clip",
    ]
    assert not KEY.search("clip_grad_norm_(model.parameters(), 1.0); or model[3] = nn.ReLU()")


def test_a_key_that_no_task_has_would_be_noticed():
    assert not known("tiles", "data.scaling")
    assert known("codes", "data.scaling")
    assert not known("tiles", "model.activation")


def test_no_remedy_of_a_monitored_loop_speaks_of_a_file_that_it_does_not_have():
    wrong = {}
    for cause, name in combinations():
        if name == OWN:
            for finding in diagnose(of(cause, OWN)):
                if KEY.search(finding.remedy) or COMMAND.search(finding.remedy):
                    wrong[finding.cause] = finding.remedy
    assert not wrong


def test_the_page_of_a_monitored_loop_gives_lines_of_python(tmp_path):
    """A real one, whose steps are far too small."""
    shop = Shop(tmp_path)
    torch.manual_seed(3)
    x = torch.linspace(-2, 2, 96).reshape(48, 2)
    y = (x.sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    with Monitor(model, optimizer, store=str(shop.root), name="mine", controls_s=0.0) as monitor:
        for _ in range(60):
            out = model(x)
            loss = nn.functional.cross_entropy(out, y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            monitor.step(loss, inputs=x, outputs=out, targets=y)
    findings = shop.entry("mine").section("^findings")
    assert findings, "nothing is found in a loop that learns nothing"
    assert not KEY.search(findings), findings
    assert not COMMAND.search(findings), findings


# -- rates -----------------------------------------------------------------------------------------

PEAK = 0.03


def annealed(history: History) -> History:
    """The same run under a cosine that ends at a ten-thousandth of its rate."""
    count = len(history.train)
    train = []
    for n, event in enumerate(history.train):
        share = 0.5 * (1 + math.cos(math.pi * n / max(1, count - 1)))
        train.append({**event, "lr": PEAK * max(share, 1e-4)})
    return replace(history, train=train)


ANNEALED = {"training": {"optimizer": {"lr": PEAK}, "schedule": {"name": "cosine"}}}


@pytest.mark.parametrize("cause", ["dead-units", "rate-too-high", "loss-not-finite", "loss-spike"])
def test_a_lower_rate_is_that_of_the_settings_divided(cause):
    """Not that of the last steps of a schedule, which ends near 0."""
    rate = rate_of(shown(cause, annealed(of(cause, "tiles", ANNEALED))))
    assert rate is None or PEAK / 100 <= rate < PEAK


def test_no_remedy_of_a_finished_cosine_names_its_last_rate():
    wrong = {}
    for cause, name in combinations():
        if name == "tiles":
            for finding in diagnose(annealed(of(cause, name, ANNEALED))):
                rate = rate_of(finding)
                if rate is not None and not PEAK / 100 <= rate <= 100 * PEAK:
                    wrong[finding.cause] = rate
    assert not wrong


def test_two_remedies_of_one_run_do_not_name_rates_of_different_moments():
    """Dead units below a rate that is too high: both advise a rate, of the same order."""
    history = annealed(of("rate-too-high", "tiles", ANNEALED))
    dead = of("dead-units", "tiles")
    layers = [[*a["layers"], *b["layers"]] for a, b in zip(
        history.probes, [dead.probes[-1]] * len(history.probes), strict=True)]  # fmt: skip
    probes = [{**p, "layers": each} for p, each in zip(history.probes, layers, strict=True)]
    findings = diagnose(replace(history, probes=probes))
    assert {"rate-too-high", "dead-units"} <= {f.cause for f in findings}
    rates = [rate for f in findings if (rate := rate_of(f)) is not None]
    assert max(rates) <= 100 * min(rates), [(f.cause, rate_of(f)) for f in findings]


@pytest.mark.parametrize("lr", [1e-7, 1e-6])
def test_a_rate_that_is_tiny_already_is_not_advised_to_be_lower(lr):
    own = {"training": {"optimizer": {"lr": lr}}}
    history = of("predicts-the-mean", "tiles", own)
    history = replace(history, train=[{**event, "lr": lr} for event in history.train])
    for finding in diagnose(history):
        rate = rate_of(finding)
        assert rate is None or rate > lr, f"{finding.cause}: {finding.remedy}"


# -- what is in force already ----------------------------------------------------------------------


def test_no_remedy_advises_what_the_run_has():
    """Each remedy is followed, and the run that is no better for it is diagnosed again."""
    wrong = {}
    for cause, name in combinations():
        if name == OWN:
            continue
        history = of(cause, name)
        for key, value in PAIR.findall(shown(cause, history).remedy):
            # rates and budgets are judged beside the curve, which stays here as it is
            if key in ("training.optimizer.lr", "training.inputs") or not known(name, key):
                continue
            obeyed = _with(history, key, value)
            for again in diagnose(obeyed):
                pairs = dict(PAIR.findall(again.remedy))
                if again.cause == cause and pairs.get(key) == value:
                    wrong[f"{cause} in {name}"] = f"{key}: {value}"
    assert not wrong


def _with(history: History, key: str, value: str) -> History:
    from famulus.config.yaml import parse_value

    more: Any = parse_value(value)
    for part in reversed(key.split(".")):
        more = {part: more}
    return replace(history, config=merged(history.config, more))


@pytest.mark.parametrize("cause", ["posterior-collapse", "posterior-unused"])
def test_laplace_is_not_advised_to_a_run_that_has_it(cause):
    history = of(cause, "tiles", {"loss": {"reconstruction": "laplace", "kl_weight": 1.0}})
    chosen = [f for f in diagnose(history) if f.cause == cause]
    for finding in chosen:
        assert not re.search(r"reconstruction: laplace", finding.remedy), finding.remedy
        assert not re.search(r"kl_weight: 1(\.0)?(?![\d.])", finding.remedy), finding.remedy
    assert chosen, f"{cause} is not found under laplace"


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_the_remedy_of_a_collapsed_posterior_is_a_sentence(kind):
    finding = shown("posterior-collapse", of("posterior-collapse", "tiles",
                    {"loss": {"reconstruction": kind, "kl_weight": 1.0}}))  # fmt: skip
    assert "as wide a noise" not in finding.remedy or "noise of as wide" not in finding.remedy
    assert not re.search(r"noise grey ranges|of as\b", finding.remedy), finding.remedy
