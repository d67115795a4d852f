"""What a watch records is what the script computed itself, in every style of writing a loop."""

import json
import re

import pytest

from tests.watch.shell import SCRIPTS, by_model, events, script, watch

# styles whose model has a class of its own
TRAINED = (
    "LossModule", "FromImport", "Partial", "ByHand", "WeightedSum", "Scaled", "Cast",
    "Accumulated", "Scheduled", "EvalWithoutGrad", "EvalWithGrad", "OnlyWithoutGrad",
    "InInferenceMode", "Coder", "Rebuilt", "Copied",
)  # fmt: skip
VALIDATED = ("EvalWithoutGrad", "EvalWithGrad", "OnlyWithoutGrad", "InInferenceMode")
ALL = (*TRAINED, "Closure", "parts")
SECRETS = ("--token", "hunter1x", "--password=hunter2x")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("styles")
    script(folder, "styles.py")
    return watch(folder, "styles.py", *SECRETS)


@pytest.fixture(scope="module")
def record(watched):
    """What the script wrote down of itself."""
    return json.loads((watched.folder / "record.json").read_text())


@pytest.fixture(scope="module")
def runs(watched):
    """By the class of the model; the one without a container by its optimizer's variable."""
    known = by_model(watched.store)
    for run in watched.store.runs():
        if run.config()["training"]["optimizer"].get("variable") == "of_both":
            known["parts"] = run
    return known


def windows(run):
    """(event, first step, last step) of each log: it holds means of the steps in between."""
    last = 0
    for event in events(run, "train"):
        if event["step"] > last:
            yield event, last, event["step"]
            last = event["step"]


def mean(losses, first, last):
    window = [value for update in losses[first:last] for value in update]
    return sum(window) / len(window)


def test_each_training_is_a_run(watched, record):
    assert watched.code == 0, watched
    assert watched.out.count("trained ") >= len(ALL)
    assert set(record) == set(ALL)
    assert [run.status() for run in watched.store.runs()] == ["finished"] * len(ALL)
    assert {run.experiment for run in watched.store.runs()} == {"styles"}
    assert watched.notes() == []
    assert all(run.id in watched.out for run in watched.store.runs())


@pytest.mark.parametrize("name", [*TRAINED, "parts"])
def test_losses_are_those_of_the_script(runs, record, name):
    losses, last = record[name]["losses"], 0
    for event, first, last in windows(runs[name]):
        total = event["values"]["total"]
        assert total == pytest.approx(mean(losses, first, last), rel=1e-5), (first, last)
    assert last == len(losses) == runs[name].done()["step"]


def test_means_of_other_steps_would_not_pass(runs, record):
    """Proof that the comparison can fail: the same, one step late."""
    losses = record["LossModule"]["losses"]
    shifted = [
        event["values"]["total"] == pytest.approx(mean(losses, first + 1, last + 1), rel=1e-5)
        for event, first, last in windows(runs["LossModule"])
        if last < len(losses)
    ]
    assert shifted
    assert not any(shifted)


def test_losses_of_a_closure_are_among_those_that_it_computed(runs, record):
    losses = record["Closure"]["losses"]
    assert runs["Closure"].done()["step"] == len(losses)
    for event, first, last in windows(runs["Closure"]):
        window = [value for update in losses[first:last] for value in update]
        assert min(window) - 1e-6 <= event["values"]["total"] <= max(window) + 1e-6


@pytest.mark.parametrize("name", ALL)
def test_learning_rates_are_those_of_the_updates(runs, record, name):
    rates = record[name]["lr"]
    for event, _, last in windows(runs[name]):
        # read after the update, and maybe after the schedule's step behind it
        here = rates[last - 1 : last + 1]
        if last == len(rates) and name == "Scheduled":
            here = [*here, 0.9 * rates[-1]]
        assert any(event["lr"] == pytest.approx(rate) for rate in here), (last, event["lr"])


@pytest.mark.parametrize("name", [*TRAINED, "parts"])
def test_samples_are_counted_and_those_of_validations_are_not(runs, record, name):
    assert runs[name].done()["inputs"] == record[name]["samples"]


@pytest.mark.parametrize("name", VALIDATED)
def test_validation_losses_are_the_means_of_the_script(runs, record, name):
    means = record[name]["val"]
    values = [event["values"]["loss"] for event in events(runs[name], "val")]
    assert values == pytest.approx(means, rel=1e-5)
    assert [event["step"] for event in events(runs[name], "val")] == [6, 12, 18]
    assert runs[name].done()["scores"]["val/loss"] == pytest.approx(means[-1], rel=1e-5)
    # no confusion of the two would go unnoticed
    trained = record[name]["losses"]
    assert all(abs(value - mean(trained, 0, 18)) > 1e-3 for value in means)


@pytest.mark.parametrize("name", [name for name in ALL if name not in VALIDATED])
def test_there_are_no_validations_where_there_were_none(runs, name):
    assert events(runs[name], "val") == []


@pytest.mark.parametrize("name", VALIDATED)
def test_epochs_are_walks_of_the_loader_that_is_trained_on(runs, name):
    """Three, though another loader is walked three times as well."""
    assert most_epochs(list(runs[name].events())) == 3


def test_without_a_loader_there_is_no_epoch(runs):
    assert most_epochs(list(runs["LossModule"].events())) is None


def most_epochs(value):
    """The largest number under a key `epoch` or `epochs`, or behind the word; None without any."""
    if isinstance(value, dict):
        own = [v for k, v in value.items() if k in ("epoch", "epochs") and isinstance(v, int)]
        inner = [most_epochs(v) for v in value.values()]
    elif isinstance(value, list):
        own, inner = [], [most_epochs(v) for v in value]
    else:
        own, inner = [int(n) for n in re.findall(r"\bepochs? (\d+)\b", str(value))], []
    return max([*own, *(n for n in inner if n is not None)], default=None)


def line_of(text):
    """Number of the only line of the script that is `text`."""
    lines = [line.strip() for line in (SCRIPTS / "styles.py").read_text().splitlines()]
    assert lines.count(text) == 1
    return lines.index(text) + 1


def test_settings_say_what_stands_where_in_the_script(runs):
    config = runs["Scheduled"].config()
    assert config["task"] == "own-loop"
    chosen = config["training"]["optimizer"]
    at = line_of("optimizer = torch.optim.SGD(model.parameters(), lr=0.5)")
    assert (chosen["class"], chosen["variable"]) == ("SGD", "optimizer")
    assert chosen["at"] == f"styles.py:{at}"
    assert chosen["lr"] == 0.5
    assert (config["model"]["class"], config["model"]["variable"]) == ("Scheduled", "model")
    chosen = runs["parts"].config()["training"]["optimizer"]
    at = line_of("of_both = torch.optim.Adam([*trunk.parameters(), *top.parameters()], lr=1e-2)")
    assert (chosen["class"], chosen["at"]) == ("Adam", f"styles.py:{at}")


def test_a_second_optimizer_over_the_same_weights_goes_on(runs, record):
    assert runs["Rebuilt"].done()["step"] == len(record["Rebuilt"]["losses"]) == 40


@pytest.mark.parametrize("name", ["LossModule", "FromImport", "Partial", "Scaled", "Coder"])
def test_layers_are_probed(runs, name):
    """The first one already before the first update."""
    probes = events(runs[name], "probe")
    assert probes[0]["step"] == 0
    layers = [layer for layer in probes[-1]["layers"] if layer.get("grad") is not None]
    assert layers
    assert all(0 < layer["grad"] < 1e3 for layer in layers)  # of a scaler: unscaled


@pytest.mark.parametrize("name", ["LossModule", "FromImport", "Copied"])
def test_targets_and_the_kind_of_loss_are_known(runs, name):
    probe = events(runs[name], "probe")[-1]
    assert {"inputs", "outputs", "targets"} <= probe["batch"].keys()
    assert probe["forms"]["loss"] == "cross_entropy"
    assert probe["forms"]["output_shape"] == [16, 2]
    facts = {k: v for event in events(runs[name], "facts") for k, v in event.items()}
    assert facts["graph"]["loss"] == ["NllLoss", "LogSoftmax"]  # read off the graph itself


def test_secrets_on_the_command_line_are_hidden(watched, runs):
    assert "hunter" in " ".join(SECRETS)
    files = [path for path in watched.folder.rglob("*") if path.is_file()]
    assert [str(path) for path in files if b"hunter" in path.read_bytes()] == []
    command = runs["LossModule"].lineage()["command"]
    assert "***" in " ".join(command)
    assert "--token" in command


def test_every_command_knows_the_runs(watched, runs):
    assert runs["Scaled"].id in watched.famulus("status", "--json")
    assert "styles" in watched.famulus("status")
    for words in (("diagnose", "last"), ("compare", "styles"), ("journal", "styles")):
        assert watched.famulus(*words)


def test_the_page_is_there_and_needs_no_network(watched):
    text = (watched.folder / "runs/journal/styles/index.html").read_text()
    assert "styles" in text
    assert re.findall(r"""(?:src|<link[^>]*href)=["']?(?:https?:)?//[^"']*""", text) == []
