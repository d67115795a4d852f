"""What the doctor says to a loop of one's own: lines of Python with the names of its script, and
nothing against what such loops do on purpose."""

import ast
import copy
import json
import re

import pytest
import torch
from torch import nn

from famulus.bridges.watched import Named, held_by, settings_of
from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.history import History, from_events
from famulus.diagnosis.remedy import OWN_LOOP, Owner, advise, clipping, learning_rate, norm
from famulus.diagnosis.report import finding_lines
from famulus.diagnosis.rules import (
    activation_twice,
    cannot_tell,
    dead_units,
    exploding_gradient,
    loss_does_not_fit_output,
    loss_not_finite,
    loss_unbounded,
    no_hidden_activation,
    output_activation,
    plateau,
    rate_cannot_reach,
    rate_too_low,
    saturated_units,
    train_eval_gap,
    weights_do_not_move,
)
from famulus.diagnosis.verdict import GRAVE, diagnose
from tests.diagnosis.recorded import FOLDER, recorded
from tests.diagnosis.rules.limits import LIMITS
from tests.diagnosis.rules.limits.limit import run
from tests.diagnosis.rules.limits.of_forms import ENTROPY, made
from tests.diagnosis.rules.limits.of_layers import sampled, units, weights

KEY = re.compile(r"\b(?:training|data|model|loss)\.[a-z_]\w*(?:\.\w+)*(?:: |=| ?\{)")
COMMAND = re.compile(r"\bfamulus \w+|\bFILE\b|--set|--budget")
LINE = re.compile(r"[A-Za-z_][\w.\[\]]*(?: = |\()")  # how a line of Python begins here
RECORDED = sorted(path.stem for path in FOLDER.glob("*.json"))
ADAM = {"name": "adam", "class": "Adam", "lr": 0.01, "variable": "opt", "at": "train.py:37"}
MODULES = ["features: Sequential", "features.0: Linear", "features.3: ReLU", "head: Linear"]
SCRIPT = {"class": "Net", "variable": "net", "modules": MODULES}


def settings(*optimizers, **model):
    """Of a watched loop, as `settings_of` writes them."""
    several = {"optimizers": list(optimizers)} if len(optimizers) > 1 else {}
    training = {"seed": 0, "optimizer": dict(optimizers[0] if optimizers else ADAM), **several}
    return {"task": OWN_LOOP, "model": {**SCRIPT, **model}, "training": training}


def as_own(history, *optimizers, **model):
    fields = {k: v for k, v in vars(history).items() if k not in ("config", "schema")}
    return History(settings(*optimizers, **model), **fields)


def gan():
    return (
        {"name": "adam", "class": "Adam", "lr": 2e-4, "variable": "optG", "holds": ["0.0"]},
        {"name": "adam", "class": "Adam", "lr": 4e-4, "variable": "optD", "holds": ["1.0"]},
    )


def sentences(remedy):
    return [part for step in remedy.split("; or ") for part in step.split("; ")]


def code_of(sentence):
    """Lines of a sentence without why and place, or [] if it is words."""
    lines = [re.sub(r" at [\w./-]+:\d+$", "", line) for line in
             re.sub(r" \(.*\)$", "", sentence).split(" and ")]  # fmt: skip
    return lines if all(map(LINE.match, lines)) else []


def assert_python_or_words(finding):
    assert finding.remedy, finding
    assert not KEY.search(finding.remedy), finding.remedy
    assert not COMMAND.search(finding.remedy), finding.remedy
    assert "param_groups" not in finding.remedy, finding.remedy
    lines = [line for sentence in sentences(finding.remedy) for line in code_of(sentence)]
    for line in lines:
        ast.parse(line)
    return lines


def hand_made():
    for limit in LIMITS:
        history = limit.history(limit.faulty)
        # sections that no loop has: what a rule reads there, it can't say to one
        if limit.says is None and not set(history.config) - {"task", "training"}:
            yield limit, as_own(history)


def test_every_remedy_is_a_line_of_python_or_words_without_keys():
    spoken, with_line = set(), set()
    for limit, history in hand_made():
        if finding := limit.rule.rule(history):
            spoken.add(finding.cause)
            if assert_python_or_words(finding):
                with_line.add(finding.cause)
    assert len(spoken) > 20
    assert len(with_line) > 15


@pytest.mark.parametrize("name", RECORDED)
def test_the_same_of_recorded_runs(name):
    for finding in diagnose(as_own(recorded(name))):
        if finding.severity in GRAVE:
            assert_python_or_words(finding)


def test_words_are_taken_for_no_line_and_a_broken_line_is_noticed():
    assert code_of("look at ten samples, whether the target belongs to the input") == []
    assert code_of("Adam(lr=0.1) at a/train.py:7 (a short run)") == ["Adam(lr=0.1)"]
    with pytest.raises(SyntaxError):
        ast.parse(code_of("nn.ReLU( between the layers")[0])
    assert KEY.search("training.optimizer.lr: 0.1")
    assert not KEY.search("model.features[3] = nn.ReLU()")


# -- names -----------------------------------------------------------------------------------


def test_a_rate_with_the_place_where_the_optimizer_is_made():
    owner = Owner(settings(ADAM))
    assert advise(owner, learning_rate(3e-4)).text == "Adam(lr=0.0003) at train.py:37"
    unnamed = Owner(settings({"name": "adam", "class": "Adam", "lr": 0.01}))
    assert advise(unnamed, learning_rate(3e-4)).text == "Adam(lr=0.0003)"


def test_the_optimizer_of_the_layer_or_each_at_the_same_share():
    history = as_own(run([1.0] * 4), *gan())
    history = History(history.config, train=[{**e, "lr": 2e-4} for e in history.train])
    of_layer = advise(history.owner, rates.step(history, 2e-5, layer="1.0")).text
    assert of_layer == "optD = Adam(lr=4e-05)"
    each = advise(history.owner, rates.step(history, 2e-5)).text
    assert each == "optG = Adam(lr=2e-05) and optD = Adam(lr=4e-05)"


def test_a_one_cycle_schedule_sets_the_rate_itself():
    owner = Owner(settings({**ADAM, "max_lr": 0.1}))
    assert advise(owner, learning_rate(0.01)).text == "OneCycleLR(opt, max_lr=0.01)"


def test_the_rate_that_a_warm_up_has_not_reached_yet():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    torch.optim.lr_scheduler.LinearLR(optimizer, 0.01)
    history = History(settings_of(model, [optimizer], {}, ""))
    assert rates.peak(history) == 0.1


def test_the_model_by_its_name():
    line = "torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0) (between backward and the step)"
    owner = Owner(settings(ADAM))
    assert advise(owner, clipping(owner)).text == line
    plain = Owner({"task": OWN_LOOP})
    assert "(model.parameters(), 1.0)" in advise(plain, clipping(plain)).text


def test_the_layer_is_named_and_can_be_set():
    layers = [weights("features.0", update=0.1), units("ReLU", dead=0.9, zeros=0.9)]
    layers[1]["name"] = "features.3"
    finding = dead_units.rule(as_own(sampled([layers] * 3)))
    assert "net.features[3] = nn.LeakyReLU() (flat nowhere)" in sentences(finding.remedy)
    layers[1]["name"] = "features.0 > ReLU"  # a function, which no attribute holds
    finding = dead_units.rule(as_own(sampled([layers] * 3)))
    assert "nn.LeakyReLU() (in the place of features.0 > ReLU: flat nowhere)" in finding.remedy


def test_a_norm_that_suits_the_layers_and_none_where_there_is_one():
    def advised(*modules):
        owner = Owner(settings(ADAM, modules=[f"{n}: {kind}" for n, kind in enumerate(modules)]))
        return advise(owner, norm()).text

    assert advised("Conv2d").startswith("nn.BatchNorm2d(...)")
    assert advised("Conv3d").startswith("nn.BatchNorm3d(...)")
    assert advised("Linear").startswith("nn.BatchNorm1d(...)")
    assert advised("Embedding", "LSTM").startswith("nn.LayerNorm(...)")
    assert advised("Conv2d", "BatchNorm2d") == ""


def test_the_last_activation_by_its_name():
    history = as_own(made("Softmax", ENTROPY), modules=["4: Softmax"])
    history.probes[:] = [
        {**p, "layers": [units("Softmax", name="4", type="Softmax")]} for p in history.probes
    ]
    remedy = activation_twice.rule(history).remedy
    assert remedy.startswith("without net.4 (Softmax): cross_entropy applies it")
    other = as_own(made("Softmax", ENTROPY))  # a function in `forward`
    assert activation_twice.rule(other).remedy.startswith("without the last softmax: ")


def test_what_a_trial_tried_stands_where_the_optimizer_is_made():
    control = {"kind": "control", "step": 9, "inputs": 9, "name": "trial rate-too-high",
               "verdict": "failed", "text": "better", "remedy": "Adam(lr=0.001)",
               "cause": "rate-too-high", "figures": {"rate": 0.001}}  # fmt: skip
    (finding,) = diagnose(from_events(settings(ADAM), [control]))
    assert finding.remedy == "Adam(lr=0.001) at train.py:37"


def test_settings_name_what_the_script_names():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    first, second = (torch.optim.Adam(model[n].parameters()) for n in (0, 2))
    names = {id(model): Named("net"), id(first): Named("optG", "gan.py:3")}
    config = settings_of(model, [first, second], {}, "", names)
    assert (config["model"]["class"], config["model"]["variable"]) == ("Sequential", "net")
    assert config["model"]["modules"] == ["0: Linear", "1: ReLU", "2: Linear"]
    one, other = config["training"]["optimizers"]
    assert (one["class"], one["variable"], one["at"]) == ("Adam", "optG", "gan.py:3")
    assert "variable" not in other
    assert (one["holds"], other["holds"]) == (["0"], ["2"])
    assert held_by(torch.optim.SGD(model.parameters(), lr=1), model) == ["0", "2"]
    alone = settings_of(model, [first], {}, "")["training"]
    assert set(alone) == {"seed", "optimizer"}
    assert not {"variable", "at"} & set(alone["optimizer"])


def test_lines_for_a_terminal():
    findings = diagnose(as_own(made("Softmax", ENTROPY)))
    lines = finding_lines(findings)
    assert lines[0] == "error: activation-twice"
    assert lines[1] == f"  {findings[0].evidence}"
    assert lines[2] == f"  → {findings[0].remedy}"
    assert finding_lines([]) == []


# -- what sound loops do ---------------------------------------------------------------------


def left_out(first, second, loss=0.4, **optimizer):
    """Two layers of which the optimizer has some; the training loss ends at `loss`."""
    layers = [
        weights(name, moved=held, held=held, trainable=True)
        for name, held in (("backbone", first), ("head", second))
    ]
    history = sampled([layers] * 3, losses=[1.0] * 19 + [loss])
    return as_own(History(history.config, train=history.train, probes=history.probes), **optimizer)


def test_a_head_alone_is_fine_tuned_on_purpose_and_a_head_left_out_is_not():
    finding = weights_do_not_move.rule(left_out(False, True))
    assert finding.severity == "info"
    assert "requires_grad_(False)" in finding.remedy
    assert weights_do_not_move.rule(left_out(True, False)).severity == "error"
    assert weights_do_not_move.rule(left_out(True, True)) is None
    task = left_out(False, True)
    task.config["task"] = "tiles"
    assert weights_do_not_move.rule(task).severity == "error"


def test_what_nothing_calls_is_no_error_in_a_loop_that_may_have_learned():
    def history(calls):
        unused = weights("pooler", moved=False, held=True, grad=None, calls=calls)
        used = weights("head", moved=True, held=True, calls=1)
        made_of = sampled([[unused, used]] * 3, losses=[1.0] * 19 + [0.4])
        return as_own(History({}, train=made_of.train, probes=made_of.probes))

    assert weights_do_not_move.rule(history(0)).severity == "info"
    assert weights_do_not_move.rule(history(1)).severity == "error"


def standing(*optimizers):
    """A loss that stands, and validations that do."""
    return as_own(run([0.7] * 24, [{"loss": 0.7}] * 9, floors={"loss": 0.73}), *optimizers)


@pytest.mark.parametrize("rule", [cannot_tell, plateau])
def test_losses_of_a_gan_stand_by_design(rule):
    assert rule.rule(standing(ADAM))
    assert rule.rule(standing(*gan())) is None


def test_a_critic_that_is_fooled_has_not_failed():
    """Squared distances to 0 and 1, half of them wrong."""
    history = made("Addmm", ("MseLoss",), form="mse", targets="binary", left=1.0)
    assert loss_does_not_fit_output.rule(as_own(history))
    assert loss_does_not_fit_output.rule(as_own(history, *gan())) is None


def test_the_last_activation_of_a_generator_may_be_flat():
    layers = [weights("0.0"), units("Tanh", name="0.1", saturated=0.9), weights("1.0")]
    history = sampled([layers] * 4)
    assert saturated_units.rule(as_own(history))
    assert saturated_units.rule(as_own(history, *gan())) is None


def test_a_likelihood_may_fall_below_zero_and_binary_cross_entropy_may_not():
    history = run([1.0 - 2.0 * n for n in range(12)])
    assert loss_unbounded.rule(history)  # of a task, which says what its loss is
    assert loss_unbounded.rule(as_own(history)) is None
    history.facts["graph"] = {"loss": ["BinaryCrossEntropyWithLogits"], "output": "Addmm"}
    assert loss_unbounded.rule(as_own(history))


@pytest.mark.parametrize(("output", "blamed"), [("Addmm", True), ("Clamp", False), ("Mean", False)])
def test_what_may_be_a_probability_is_not_accused(output, blamed):
    for loss in (("BinaryCrossEntropy",), ("NllLoss", "Log")):
        assert bool(output_activation.rule(as_own(made(output, loss)))) == blamed


def test_a_loss_of_similarities_is_not_one_of_the_outputs_as_they_are():
    assert output_activation.rule(as_own(made("Relu", ENTROPY)))
    assert output_activation.rule(as_own(made("Relu", (*ENTROPY, "Div", "Mm")))) is None
    assert activation_twice.rule(as_own(made("Softmax", (*ENTROPY, "Addmm")))) is None


def test_a_linear_model_whose_loss_halves_is_what_its_task_needs():
    def history(last):
        losses = [1.0] * 9 + [last]
        return as_own(run(losses, facts={"graph": {"pairs": 3, "direct": 3, "output": "Addmm"}}))

    assert no_hidden_activation.rule(history(0.51))
    assert no_hidden_activation.rule(history(0.49)) is None


def test_large_gradients_of_a_summed_loss_that_may_be_learned_are_its_own():
    history = sampled([[weights("0", grad=40.0)]] * 3)
    assert exploding_gradient.rule(as_own(history))  # beside a baseline: nothing is learned
    alone = History(history.config, train=history.train, probes=history.probes)
    assert exploding_gradient.rule(as_own(alone)) is None
    alone.probes[-1] = {"step": 9, "layers": [weights("0", grad=1e5)]}
    assert exploding_gradient.rule(as_own(alone))


def test_a_loop_that_was_ended_early_has_few_steps_not_small_ones():
    def history(update):
        falling = [1.0 - 0.01 * n for n in range(24)]
        return as_own(sampled([[weights("0", update=update)]] * 6, losses=falling))

    assert rate_too_low.rule(history(1e-4))
    assert rate_too_low.rule(history(2e-3)) is None


def decayed(factor, last):
    """A power law in the way at a rate of 1, let down to a hundredth half way: the loss then falls
    to a share of what it was."""
    way, history = 0.0, run([1.0] * 40)
    for n, event in enumerate(history.train):
        event["lr"] = 1.0 if n < 20 else factor
        way += event["lr"]
        event["values"] = {"total": way**-0.4 * (1.0 if n < 20 else last)}
    return as_own(history)


def test_a_rate_that_is_let_down_and_brings_the_loss_down_is_no_fault():
    assert rate_cannot_reach.rule(decayed(0.01, 1.0))
    assert rate_cannot_reach.rule(decayed(0.01, 0.6)) is None


def test_too_early_is_said_of_what_was_measured():
    probe = {"step": 1, "layers": [], "batch": {}, "forms": {"left": 1.0}}
    finding = cannot_tell.rule(as_own(run([1.0] * 8, probes=[probe] * 3)))
    assert "the relative error in the last batches is 1" in finding.evidence


def test_the_first_loss_that_is_no_number_in_a_gan():
    mark = {"what": "loss-not-finite", "text": "total is nan at step 3", "step": 3}
    finding = loss_not_finite.rule(as_own(run([1.0] * 3, marks=[mark]), *gan()))
    assert "optG = Adam(lr=0.001) and optD = Adam(lr=" in finding.remedy


def test_four_times_the_batch_that_was_seen():
    history = run([1.0] * 4, [{"loss": 2.0, "train_mode_gap": 1.5}], floors={"loss": 1.0})
    assert "DataLoader(..., batch_size=32)" in train_eval_gap.rule(as_own(history)).remedy


# -- events of other people's loops ------------------------------------------------------------


def places(value, path=()):
    """Paths of all keys, of a list those of its first and last item."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from places(inner, (*path, key))
    elif isinstance(value, list) and value:
        for n in sorted({0, len(value) - 1}):
            yield from places(value[n], (*path, n))


def damaged(whole, path, drop):
    """A copy in which the key at a path is null, or gone."""
    whole = copy.deepcopy(whole)
    here = whole
    for part in path[:-1]:
        here = here[part]
    if drop:
        del here[path[-1]]
    else:
        here[path[-1]] = None
    return whole


def firsts(events):
    """Of each kind the first event and the last one."""
    chosen = {}
    for n, event in enumerate(events):
        first, _ = chosen.setdefault(event["kind"], (n, n))
        chosen[event["kind"]] = (first, n)
    return sorted({n for pair in chosen.values() for n in pair})


@pytest.mark.parametrize("name", ["tiles-dead-bias", "tiles-saturated", "transfer-plain-healthy",
                                  "codes-relu-on-z", "pretext-eval-gap"])  # fmt: skip
@pytest.mark.parametrize("own", [True, False])
def test_no_key_that_is_null_or_gone_ends_a_diagnosis(name, own):
    stored = json.loads((FOLDER / f"{name}.json").read_text())
    config = settings(ADAM) if own else stored["config"]
    events = stored["events"]
    events += [
        {"kind": "mark", "step": 3, "inputs": 9, "what": "loss-not-finite", "text": "nan"},
        {"kind": "mark", "step": 3, "inputs": 9, "what": "growth", "text": "a layer"},
        {"kind": "control", "step": 0, "inputs": 0, "name": "learning rate", "verdict": "failed",
         "text": "x", "remedy": "y", "figures": {"slower": 1e-3}, "cause": "rate-too-high",
         "changes": [{"path": "training.clip", "value": 1.0}]},
        {"kind": "probe", "step": 9, "inputs": 9, "layers": [], "rank": None, "memory_mb": 0.0,
         "batch": {"targets": {"min": 0.0, "max": 9.0, "finite": True}},
         "forms": {"loss": "mse", "left": 0.9, "targets": "classes", "output_shape": [8, 1]}},
        {"kind": "facts", "step": 0, "inputs": 0, "graph": {"loss": ["MseLoss"], "output": "Relu",
         "pairs": 2, "direct": 2, "ops": {}}},
    ]  # fmt: skip
    assert diagnose(from_events(config, events))
    for n in firsts(events):
        for path in places(events[n]):
            for drop in (True, False):
                broken = [*events[:n], damaged(events[n], path, drop), *events[n + 1 :]]
                diagnose(from_events(config, broken))
    for path in places(config):
        diagnose(from_events(damaged(config, path, drop=True), events))
        diagnose(from_events(damaged(config, path, drop=False), events))


@pytest.mark.parametrize("kind", ["train", "val", "probe", "floor", "mark", "facts"])
@pytest.mark.parametrize("name", RECORDED)
def test_no_kind_of_event_that_is_missing_or_damaged_throughout_ends_a_diagnosis(name, kind):
    events = json.loads((FOLDER / f"{name}.json").read_text())["events"]
    keys = {path for event in events if event["kind"] == kind for path in places(event)}
    config = settings(ADAM)
    diagnose(from_events(config, [e for e in events if e["kind"] != kind]))
    for key in {path[0] for path in keys} - {"kind"}:
        broken = [{**e, key: None} if e["kind"] == kind else e for e in events]
        diagnose(from_events(config, broken))
