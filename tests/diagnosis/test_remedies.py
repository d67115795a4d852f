"""Can a person do what a finding or a check says?

Every rule and every check speaks here to a run of each task and to a loop under a Monitor. What it
proposes is read out of its text, as a person would, and put into the experiment file.
"""

import inspect
import pkgutil
import re

import pytest
from torch.optim import SGD

from famulus import tasks
from famulus.config.errors import ConfigError
from famulus.config.experiment import read
from famulus.config.schema import Optimizer, Training
from famulus.config.yaml import parse_value
from famulus.diagnosis import rules
from famulus.diagnosis.controls import learning_rate, loader_speed, overfit, targets, weights_move
from famulus.diagnosis.controls.bench import Fit
from famulus.diagnosis.history import History
from famulus.diagnosis.remedy import OWN_LOOP, Change, Owner, Step, advise, setting, together
from famulus.diagnosis.rules import (
    codebook_collapsed,
    dead_units,
    exploding_gradient,
    labels_differ,
    rate_too_high,
    saturated_units,
    train_eval_gap,
    vanishing_gradient,
)
from tests.diagnosis.rules.limits import LIMITS
from tests.diagnosis.rules.limits.of_layers import deep

TASKS = ("tiles", "codes", "pretext", "transfer", "qsm", "scroll")
SETTING = re.compile(
    r"((?:training|data|model|loss)(?:\.\w+)+)(?:: |=)(\{[^}]*\}|\[[^]]*\]|[^\s;,()]+)"
)
RULES = [m.name for m in pkgutil.iter_modules(rules.__path__)]
SPOKEN = [limit for limit in LIMITS if limit.says is None]


def text(name):
    stages = "".join(f"{key}: last\n" for key in getattr(tasks.load(name).Config, "parents", ()))
    return f"why: x\ntask: {name}\n{stages}training: {{inputs: 10_000, optimizer: {{lr: 0.01}}}}\n"


def filled(name, given=()):
    return read(text(name), given, tasks.load).cells[0].config


def flat(section, path=""):
    for key, value in section.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}={value}"


def histories(name):
    """Faulty histories of all limits, as those of a run of this task."""
    plain = filled(name)
    for limit in SPOKEN:
        history = limit.history(limit.faulty)
        own = {k: v for k, v in history.config.items() if k != "training"}
        if optimizer := history.config["training"].get("optimizer"):
            own["training"] = {"optimizer": optimizer}  # of a loop's several a file has none
        try:
            config = filled(name, list(flat(own)))
        except ConfigError:  # of another task
            config, own = plain, {}
        fields = {k: v for k, v in vars(history).items() if k not in ("config", "schema")}
        yield limit.rule, list(flat(own)), History(config, **fields, schema=tasks.load(name))


def assert_reads_well(sentence, settings=()):
    for path, value in settings:
        sentence = sentence.replace(f"{path}: {value}", "it").replace(f"{path}={value}", "it")
    assert not re.search(r"\b(\w+) \1\b", sentence), sentence
    assert not re.search(r"[{}]|\bNone\b|  | ,|:;|; ;|; or ;", sentence), sentence


def assert_can_be_done(name, own, remedy, changes):
    """Each step by itself, as `--set`: the file still reads, and it is another one."""
    before, proposed = filled(name, own), []
    for step in remedy.split("; or "):
        pairs = SETTING.findall(step)
        if not pairs:
            continue
        after = filled(name, [*own, *(f"{path}={value}" for path, value in pairs)])
        assert after != before, step
        proposed += [(path, parse_value(value)) for path, value in pairs]
    assert proposed == [(c.path, c.value) for c in changes], remedy


@pytest.mark.parametrize("name", TASKS)
def test_what_a_rule_says_to_a_run_of_a_file(name):
    said = set()
    for rule, own, history in histories(name):
        if (finding := rule.rule(history)) is None:
            continue
        said.add(rule.__name__)
        assert finding.remedy, rule.__name__
        assert_reads_well(finding.evidence)
        assert_reads_well(finding.remedy, SETTING.findall(finding.remedy))
        assert "param_groups" not in finding.remedy
        assert_can_be_done(name, own, finding.remedy, finding.changes)
    assert len(said) > 20


def of_loops_alone(module):
    """Does it speak of these very histories where they are of a loop of one's own, and of none
    where they are of a file's run?"""
    spoken = {OWN_LOOP: False, "a file's": False}
    for limit in SPOKEN:
        for task in spoken if limit.rule is module else ():
            history = limit.history(limit.faulty)
            history.config["task"] = task
            spoken[task] |= limit.rule.rule(history) is not None
    return spoken[OWN_LOOP] and not spoken["a file's"]


def test_every_rule_has_spoken():
    said = {
        rule.__name__.rsplit(".", 1)[-1]
        for name in TASKS
        for rule, _, history in histories(name)
        if rule.rule(history)
    }
    # of nets and codes that `tiny` configs can't have
    unable = {"memorises_the_pool", "features_not_centred"}
    mute = set(RULES) - said - unable
    assert [name for name in mute if not of_loops_alone(getattr(rules, name))] == []


def test_what_a_rule_says_to_a_loop_of_ones_own():
    spoken = set()
    for limit in SPOKEN:
        history = limit.history(limit.faulty)
        history.config["task"] = OWN_LOOP
        finding = limit.rule.rule(history)
        if finding is None or set(history.config) - {"task", "training"}:
            continue  # settings that no loop has
        spoken.add(limit.rule.__name__)
        assert finding.changes == ()
        assert finding.remedy
        assert not SETTING.search(finding.remedy), finding.remedy
        assert "famulus" not in finding.remedy, finding.remedy
        assert "FILE" not in finding.remedy
        assert_reads_well(finding.evidence)
        assert_reads_well(finding.remedy)
    assert len(spoken) > 20


def recorded_moments(rule, *, probes=(), logs=(), validations=()):
    """The history of its first limit, its events moved to steps of their own."""
    limit = next(limit for limit in SPOKEN if limit.rule is rule)
    history = limit.history(limit.faulty)
    for events, steps in (
        (history.probes, probes), (history.train, logs), (history.val, validations)
    ):  # fmt: skip
        for event, step in zip(reversed(events), reversed(steps), strict=False):
            event["step"] = step
    return history


@pytest.mark.parametrize(
    ("rule", "moments", "steps"),
    [
        (rate_too_high, {"probes": range(100, 106), "logs": (4999, 5000)}, (101, 105, 5000)),
        (vanishing_gradient, {"probes": (100, 200, 300)}, (300,)),
        (exploding_gradient, {"probes": (100, 200, 300)}, (300,)),
        (dead_units, {"probes": (100, 200, 300)}, (100, 300)),
        (saturated_units, {"probes": (100, 300)}, (300,)),
        (labels_differ, {"logs": (700,), "validations": (650,)}, (650, 700)),
        (codebook_collapsed, {"validations": (100, 300)}, (100, 300)),
        (train_eval_gap, {"validations": (300,)}, (300,)),
    ],
)
def test_figures_of_different_moments_say_when(rule, moments, steps):
    evidence = rule.rule(recorded_moments(rule, **moments)).evidence
    assert all(re.search(rf"\b{step:,}\b", evidence) for step in steps), evidence


def test_the_layers_before_the_last_one_are_counted_without_it():
    evidence = vanishing_gradient.rule(recorded_moments(vanishing_gradient)).evidence
    assert "3 layers before it" in evidence  # of four


def test_the_ratio_beside_two_gradients_is_theirs():
    history = deep([1e-9, 1, 1, 1], samples=5)
    history.probes[-1] = deep([1e-5, 1, 1, 0.1]).probes[0]  # the others' median is another one
    evidence = vanishing_gradient.rule(history).evidence
    assert "is 0.1 in layer 3 and 1e-05 in layer 0" in evidence
    assert "a ratio of 0.0001; the median of 5 samples is 1e-09" in evidence


# -- checks ----------------------------------------------------------------------------------


def fit(first, last, slower=None):
    """A frozen batch: at the configured rate it ends at `last`, at lower ones at `slower`."""

    def tried(kind, factor):
        end = slower if slower is not None and factor < 1 else last
        return Fit(first, end, end, 50)

    return tried


def tried(best):
    """A short training that comes down at the rate `best` alone."""
    return lambda rate: learning_rate.Tried(1.0, 0.1 if rate == best else 1.5, 0.1)


def weight(name, **facts):
    known = {"trained": True, "held": True, "numbers": 10, "touched": True, "reached": True}
    return weights_move.Weight(name, **{**known, "moved": True, **facts})


def controls(owner):
    spec, lr = Optimizer(), Optimizer().lr
    falling = learning_rate.Sweep([1e-4, 1e-3, 1e-2, 1e-1], [1.0, 0.9, 0.5, 0.4], None)
    slow = learning_rate.Sweep([1e-6, 1e-5, 1e-4], [1.0, 0.5, 0.4], 1e-3)
    yield learning_rate.rate(slow, tried(lr / 10), spec, 1.0, 100, owner)
    yield learning_rate.rate(falling, tried(1e-2), spec, 1e-9, 100, owner)
    yield learning_rate.rate(falling, tried(1e-2), spec, 0.06, 100, owner)
    yield overfit.overfit(fit(1.0, float("nan"), 0.1), "recon", owner=owner)
    yield overfit.overfit(fit(1.0, 2.0, 0.1), "recon", owner=owner)
    yield overfit.overfit(lambda kind, factor: Fit(1.0, 0.1, 0.9, 50), "recon", owner=owner)
    yield overfit.overfit(fit(1.0, 1.0), "recon", owner=owner)
    looks = targets.Looks(False, False, True)
    moving = {True: Fit(1.0, 0.01, 0.01, 50), False: Fit(1.0, 0.9, 0.9, 50)}
    yield targets.targets(looks, 8, moving.__getitem__, 0.0, owner)
    yield loader_speed.loader_speed(1.0, 0.1, 64, owner)
    yield weights_move.moves([weight("a"), weight("b", moved=False)], [], 3, owner=owner)
    yield weights_move.moves([weight("b", moved=False, held=False)], [], 3, owner=owner)


@pytest.mark.parametrize("name", TASKS)
def test_what_a_check_says(name):
    owner = Owner(filled(name), tasks.load(name))
    for control in controls(owner):
        assert control.verdict in ("failed", "warning"), control
        assert control.remedy
        assert_reads_well(control.text)
        assert_reads_well(control.remedy, SETTING.findall(control.remedy))
        assert_can_be_done(name, (), control.remedy, control.changes)


# -- the mechanism ---------------------------------------------------------------------------


def schema_paths(schema, defs=None, prefix=""):
    """Every dotted path of a JSON Schema."""
    defs = defs or schema.get("$defs", {})
    if "$ref" in schema:
        yield from schema_paths(defs[schema["$ref"].rsplit("/", 1)[-1]], defs, prefix)
    for option in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from schema_paths(option, defs, prefix)
    for key, value in schema.get("properties", {}).items():
        yield prefix + key
        yield from schema_paths(value, defs, f"{prefix}{key}.")


@pytest.mark.parametrize("name", TASKS)
def test_a_proposed_path_is_one_of_the_schema(name):
    kind = tasks.load(name)
    known = set(schema_paths(kind.Config.model_json_schema()))
    known |= {f"training.{path}" for path in schema_paths(Training.model_json_schema())}
    known |= {f"training.optimizer.{option}" for option in inspect.signature(SGD).parameters}
    proposed = set()
    for rule, _, history in histories(name):
        if finding := rule.rule(history):
            proposed |= {c.path for c in finding.changes}
    assert "training.optimizer.lr" in proposed
    assert proposed <= known


def owner(name="tiles", *given):
    return Owner(filled(name, given), tasks.load(name))


def test_what_is_in_force_is_not_proposed():
    step = setting("loss.reconstruction", "laplace", words="another loss")
    assert advise(owner("tiles", "loss.reconstruction=l1"), step).changes
    assert advise(owner("tiles", "loss.reconstruction=laplace"), step).text == ""
    assert advise(owner("qsm"), step).text == "another loss"  # which has no such setting
    clip = setting("training.clip", 1.0)
    assert advise(owner(), clip).text == "training.clip: 1.0"
    assert advise(owner("tiles", "training.clip=1"), clip).text == ""  # {norm: 1.0} is the same


def test_what_the_task_does_not_have_or_take_is_not_proposed():
    for path, value in (("model.activation", "relu"), ("model.act", "square"), ("data.x.y", 1)):
        assert advise(owner(), setting(path, value)).changes == ()
    # one budget only, and a final rate below the first
    assert advise(owner(), setting("training.epochs", 3)).changes == ()
    falling = owner("tiles", "training.schedule={name: cosine, final_lr: 0.005}")
    assert advise(falling, setting("training.optimizer.lr", 0.001)).changes == ()


def test_settings_that_only_help_together_come_together():
    pair = Change("data.edges", 0.5), Change("data.weighted", True)
    half = owner("scroll", "data.edges=0.5", "data.weighted=false")
    assert advise(half, together(*pair)).text == "data.weighted: true"
    neither = owner("scroll", "data.edges=1.0", "data.weighted=false")
    assert advise(neither, together(*pair)).text == "data.edges: 0.5 with data.weighted: true"
    assert advise(owner("tiles"), together(*pair)).text == ""


def test_a_loop_reads_python_and_a_file_its_settings():
    step = setting("training.optimizer.lr", 3e-4, code="optimizer = ...", why="smaller")
    assert advise(Owner({"task": OWN_LOOP}), step).text == "optimizer = ... (smaller)"
    assert advise(owner(), step).text == "training.optimizer.lr: 0.0003 (smaller)"
    after = Step(words="if not, look", after=True)
    assert advise(owner(), step, after).text.endswith("(smaller); if not, look")


def test_a_stored_run_of_another_version_is_still_advised():
    """Its settings no longer read; what it has a key for may be set."""
    config = filled("tiles") | {"model": {"gone": 1, "act": "tanh"}}
    old = Owner(config, tasks.load("tiles"))
    assert advise(old, setting("model.act", "relu")).text == "model.act: relu"
    assert advise(old, setting("model.norm", "batch", words="a norm")).text == "a norm"
