"""Which way a score is better is declared once, and everything that watches one reads it there."""

from typing import ClassVar

import pytest

from famulus.config.errors import ConfigError
from famulus.config.experiment import read
from famulus.config.identity import run_id
from famulus.config.refill import refill
from famulus.config.schema import Strict
from famulus.config.scores import Score, as_json, find, from_json

SCORES = {
    "accuracy": Score(better="higher"),
    "recall": Score(better="higher"),
    "recall gap": Score(better="lower"),
    "l1": Score(unit="grey ranges", better="lower"),
    "prevalence": Score(),
    "recon": Score(better="lower", comparable=False, depends_on=("loss.kind", "data.scaling")),
}


class Config(Strict):
    pass


class Mine:
    Config = Config
    SCORES: ClassVar = SCORES


def training(section="", *overrides):
    text = f"why: x\ntask: mine\ntraining:\n  epochs: 1\n  {section}\n"
    return read(text, overrides, lambda name: Mine).cells[0].config["training"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("val/accuracy", "accuracy"),
        ("l1", "l1"),
        ("val/recall of class 3", "recall"),  # made at run time
        ("val/recall gap 3", "recall gap"),  # the longest
        ("val/recall_7", "recall"),
        ("val/recalls", None),  # another word
        ("val/l10", None),
        ("val/precision", None),
    ],
)
def test_names_made_at_run_time_match_by_prefix(name, found):
    assert find(name, SCORES) == (SCORES[found] if found else None)


def test_loss_is_known_and_does_not_compare():
    assert (find("val/loss", {}).better, find("val/loss", {}).comparable) == ("lower", False)
    own = {"loss": Score(better="higher")}  # a log-likelihood, say
    assert find("val/loss", own).better == "higher"


def test_through_json_and_back():
    assert from_json(as_json(SCORES)) == SCORES
    strange = {"a": {"better": "up"}, "b": None, "c": {"unit": "m", "better": "lower"}}
    assert from_json(strange) == {"c": Score(unit="m", better="lower")}
    assert from_json("nonsense") == {}
    with pytest.raises(ConfigError, match=r"expected better='lower', .* received 'max'"):
        Score(better="max")


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("keep: {best: val/SCORE}", "keep"),
        ("stop: {score: val/SCORE}", "stop"),
        ("schedule: {name: plateau, score: val/SCORE}", "schedule"),
    ],
)
def test_the_direction_follows_the_score(section, key):
    for score, direction in {"accuracy": "max", "l1": "min", "recall of 3": "max"}.items():
        made = training(section.replace("SCORE", score))
        assert made[key]["direction"] == direction
    for wrong, right in ((("accuracy", "min"), "max"), (("l1", "max"), "min")):
        score, given = wrong
        text = section.replace("SCORE", score)[:-1] + f", direction: {given}}}"
        with pytest.raises(ConfigError, match=rf"text:5:\d+: training.{key}.direction: .*{right}"):
            training(text)
    said = section.replace("SCORE", "mine")[:-1] + ", direction: max}"
    assert training(said)[key]["direction"] == "max"  # nobody declared it: the person says it
    with pytest.raises(ConfigError, match=r"declared as 'val/acuracy', did you mean 'val/acc"):
        training(section.replace("SCORE", "acuracy"))
    with pytest.raises(ConfigError, match="declared as 'accuracy', did you mean 'val/accuracy'"):
        training(section.replace("val/SCORE", "accuracy"))
    with pytest.raises(ConfigError, match="neither lower nor higher is better; to watch it"):
        training(section.replace("SCORE", "prevalence"))


def test_a_file_without_a_direction_has_the_id_that_it_had():
    """0.1.0 wrote `min` where nothing was said, and hashed it: so does a loss that is declared."""
    for section in ("keep: {best: val/loss}", "stop: {score: val/l1}", "keep: {best: null}"):
        made = training(section)
        part = section.partition(":")[0]
        assert made[part]["direction"] == "min"
        explicit = section[:-1] + ", direction: min}"
        filled = [{"task": "mine", "training": t} for t in (made, training(explicit))]
        assert len({run_id(f, Config, "data") for f in filled}) == 1
    assert training("keep: {best: null, direction: max}")["keep"]["direction"] == "max"
    others = [{"task": "mine", "training": training(f"stop: {{score: val/{s}}}")}
              for s in ("l1", "accuracy")]  # fmt: skip
    assert len({run_id(f, Config, "data") for f in others}) == 2


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("stop: {score: val/l1}", "stop.score"),
        ("keep: {best: val/l1}", "keep.best"),
        ("schedule: {name: plateau, score: val/l1}", "schedule.score"),
    ],
)
def test_another_score_on_resume_brings_its_own_direction(section, key):
    stored = {"task": "mine", "training": training(section)}
    new = refill(stored, [f"training.{key}=val/accuracy"], Mine)
    assert new["training"][key.partition(".")[0]]["direction"] == "max"


@pytest.mark.parametrize("value", ["null", "5", "[1]", "hello", "{stop: 3}"])
def test_what_is_no_section_is_one_clear_line(value):
    stored = {"task": "mine", "training": training()}
    with pytest.raises(ConfigError, match="--set training"):
        refill(stored, [f"training={value}"], Mine)


def test_a_stored_direction_that_contradicts_is_mended_in_a_child():
    """0.1.0 filled in `min` of whatever was watched."""
    stored = {"task": "mine", "training": training("stop: {score: val/accuracy}")}
    stored["training"]["stop"]["direction"] = stored["training"]["keep"]["direction"] = "min"
    new = refill(stored, ["training.batch=8"], Mine)
    assert new["training"]["stop"]["direction"] == "max"


def test_a_direction_on_resume_is_the_persons_own():
    stored = {"task": "mine", "training": training("stop: {score: val/l1}")}
    assert refill(stored, ["training.batch=8"], Mine)["training"]["stop"]["direction"] == "min"
    both = ["training.stop.score=val/accuracy", "training.stop.direction=min"]
    with pytest.raises(ConfigError, match=r"--set .*stop.direction: expected max"):
        refill(stored, both, Mine)
