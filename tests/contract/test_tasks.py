"""What every task must keep, whoever wrote it."""

import inspect
import itertools
import subprocess
import sys

import pytest
import torch

from famulus import tasks
from famulus.config.errors import ConfigError
from famulus.config.experiment import read
from famulus.config.schema import Strict
from famulus.config.scores import find
from famulus.feed.feeder import validation_batches
from famulus.launch.template import template
from famulus.tasks.base import Changes, Facts, Task

NAMES = tasks.names()
REQUIRED = sorted(Task.__abstractmethods__)
SECTIONS = ("data", "model", "loss")


def config_of(name):
    return tasks.load(name).Config


def stages(config):
    """Lines of a file that name a run for each first stage."""
    return "".join(f"{key}: last\n" for key in getattr(config, "parents", ()))


def text(name, more=""):
    return f"why: x\ntask: {name}\n{stages(config_of(name))}training: {{epochs: 1}}\n{more}"


def sections(config):
    return [name for name in SECTIONS if name in config.model_fields]


def test_tiles_is_found():  # the walk is not over nothing
    assert "tiles" in NAMES
    assert REQUIRED == ["apply", "build", "data", "floors", "loss", "pictures", "scores"]


@pytest.mark.parametrize("name", NAMES)
class TestEveryTask:
    def test_is_one_complete_class(self, name):
        kind = tasks.load(name)
        assert issubclass(kind, Task)
        assert not inspect.isabstract(kind)
        assert issubclass(kind.Config, Strict)
        assert set(kind.Config.model_fields) <= set(SECTIONS)

    def test_states_question_shapes_and_source(self, name):
        words = inspect.getmodule(tasks.load(name)).__doc__
        assert "?" in words.split("\n\n")[0], "a task opens with its question"
        assert "Shapes:" in words
        assert "Source:" in words

    def test_its_methods_take_what_the_loop_gives(self, name):
        kind = tasks.load(name)
        for method in [*REQUIRED, "param_groups", "on_inputs"]:
            asked = list(inspect.signature(getattr(Task, method)).parameters)
            given = inspect.signature(getattr(kind, method)).parameters
            extra = [p for p in list(given.values())[len(asked) :] if p.default is p.empty]
            assert list(given)[: len(asked)] == asked or len(given) == len(asked), method
            assert not extra, method

    def test_a_file_that_says_nothing_is_filled_in(self, name):
        cell = read(text(name), (), tasks.load).cells[0]
        for section in sections(config_of(name)):
            asked = config_of(name).model_fields[section].annotation.model_fields
            assert set(cell.config[section]) == {f.alias or key for key, f in asked.items()}

    def test_refuses_unknown_keys(self, name):
        for section in sections(config_of(name)):
            with pytest.raises(ConfigError, match=rf"text:\d+:\d+: {section}\.zzz: unknown key"):
                read(text(name, f"{section}: {{zzz: 1}}\n"), (), tasks.load)
        with pytest.raises(ConfigError, match="zzz: unknown key"):
            read(text(name, "zzz: 1\n"), (), tasks.load)

    def test_says_what_each_number_means(self, name):
        """A field is described, unless its own name and its choices say all."""
        for section in sections(config_of(name)):
            model = config_of(name).model_fields[section].annotation
            for key, field in getattr(model, "model_fields", {}).items():
                bare = field.annotation in (int, float) and not field.description
                assert not bare, f"{section}.{key} has no description"

    def test_its_template_is_a_valid_experiment(self, name):
        plan = read(template(name, config_of(name)), (), tasks.load)
        assert plan.why
        assert [cell.axes for cell in plan.cells] == [{"lr": 0.001}, {"lr": 0.0003}]

    def test_its_template_shows_every_field(self, name):
        written = template(name, config_of(name))
        for section in sections(config_of(name)):
            model = config_of(name).model_fields[section].annotation
            for key, field in getattr(model, "model_fields", {}).items():
                assert f"\n  {field.alias or key}: " in written


def test_facts_hold_what_a_task_states_and_nothing_else():
    assert Facts().json() == {}
    stated = Facts(loss="mean L1", changes=Changes("growth", 100), shown={"codes": 0})
    growth = {"what": "growth", "until_inputs": 100}
    assert stated.json() == {"loss": "mean L1", "changes": growth, "codes": 0}


def test_an_unknown_task_gets_the_nearest_name():
    with pytest.raises(ConfigError, match="no task is named 'tile'; did you mean 'tiles'"):
        tasks.load("tile")


SMALL = {
    "tiles": "data: {name: digits}\nmodel: {kind: vae, channels: [4], code: 2}\n"
    "loss: {code: {weight: 0.1}}\n",
    "codes": "data: {name: digits, channels: 1, subset: 64, validation: 32}\n"
    "model: {widths: [4, 4], quantiser: {size: 8, dim: 2, pool: 0}}\n",
    "prior": "data: {name: digits, levels: 2, subset: 64, validation: 32}\n"
    "model: {width: 4, layers: 1, first_kernel: 3}\n",
    "pretext": "data: {name: digits}\n",
    "transfer": "data: {name: digits}\n",
    "qsm": "",
    "scroll": "model: {kind: joint, widths: [4, 8], code: 4}\n",
}


@pytest.mark.parametrize("name", NAMES)
class TestScores:
    def test_every_score_is_declared(self, name):
        """What a task measures and does not declare could be ranked by nobody."""
        kind = tasks.load(name)
        head = f"why: x\ntask: {name}\ntraining: {{epochs: 1}}\n"
        settings = read(head + SMALL.get(name, ""), (), tasks.load).cells[0].settings
        task = kind(settings.task_config, {})
        data = task.data()
        torch.manual_seed(0)
        model = task.build().eval()
        batches = validation_batches(data.validation, 4, torch.device("cpu"), 0)
        with torch.no_grad():
            measured = task.scores(model, itertools.islice(batches, 1))
        undeclared = [n for n in measured if n != "loss" and find(n, kind.SCORES) is None]
        assert not undeclared, f"{name} does not declare {', '.join(undeclared)}"
        assert find("undeclared_score", kind.SCORES) is None  # the comparison can fail

    def test_what_scores_mean_is_known_without_torch(self, name):
        """Pages of runs that did not record it ask here, and pages start at once."""
        assert tasks.scores(name) == tasks.load(name).SCORES
        said = f"from famulus import tasks; assert tasks.scores({name!r})"
        code = f"import sys; {said}; assert 'torch' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_what_scores_depend_on_are_settings(self, name):
        """A path that is misspelt is never different between cells."""
        kind = tasks.load(name)
        filled = kind.Config().model_dump(mode="json", by_alias=True)
        filled |= {key: None for key in getattr(kind.Config, "parents", ())}
        paths = {path for score in kind.SCORES.values() for path in score.depends_on}
        for path in paths:
            here = filled
            for part in path.split("."):
                assert part in here, f"{name} has no setting {path}"
                here = here[part]

    def test_some_score_compares(self, name):
        scores = tasks.load(name).SCORES
        assert next(n for n, s in scores.items() if s.comparable and s.better)
