"""Every experiment file that is shipped reads, fits its task, and says what it asks."""

from pathlib import Path

import pytest

from famulus import tasks
from famulus.config import scores
from famulus.config.errors import ConfigError
from famulus.config.experiment import Plan, read
from famulus.config.matrix import text
from famulus.config.schema import FindingExpect, OrderExpect
from famulus.diagnosis.verdict import causes
from famulus.launch.cases import faults

ROOT = Path(__file__).parents[2] / "experiments"
FILES = sorted(ROOT.rglob("*.yaml"))
OFFICIAL = (
    Path("tiles/first-light.yaml"),
    Path("tiles/compare-datasets.yaml"),
)


def plan(path):
    return read(path, (), lambda name: tasks.load(name, faults()))


def refused(path) -> str:
    """The cause for which a case is refused as it is read, where it is meant to be."""
    try:
        plan(path)
    except ConfigError as error:
        return error.cause
    return ""


def unknown_names(experiment: Plan) -> list[str]:
    """What `expect:` speaks of and nothing has: scores, causes, axes, values of an axis.

    An expectation about nothing is never judged, and never broken.
    """
    declared = tasks.load(experiment.task, faults()).SCORES
    names = []
    for expectation in experiment.expect:
        cells = [cell.axes for cell in experiment.cells]
        for axis, value in expectation.where.items():
            cells = [cell for cell in cells if axis in cell and text(cell[axis]) == text(value)]
        if not cells:
            names.append(f"where {expectation.where}")
        if isinstance(expectation, FindingExpect):
            names += {expectation.finding} - {"none", *causes()}
            continue
        if isinstance(expectation, OrderExpect):
            score = expectation.order
            values = {text(cell[expectation.by]) for cell in cells if expectation.by in cell}
            names += set(expectation.ascending) - values
        else:
            score = expectation.score
        if not score.startswith(scores.PREFIX) or scores.find(score, declared) is None:
            names.append(score)
    return names


def test_the_named_ones_are_there():
    assert {ROOT / path for path in OFFICIAL} <= set(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_it_reads_and_opens_with_its_question(path):
    if path.parent.name == "cases" and (cause := refused(path)):
        assert f"finding: {cause}," in path.read_text(encoding="utf-8")
        return
    read_ = plan(path)
    assert read_.name == path.relative_to(ROOT).with_suffix("").as_posix()
    assert len(read_.why.split()) >= 4
    assert path.read_text(encoding="utf-8").startswith("why:")
    assert read_.expect, "an experiment promises something"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_its_expectations_name_what_there_is(path):
    if not refused(path):
        assert unknown_names(plan(path)) == []


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ("{score: val/l1,", "{score: val/l11,", "val/l11"),
        ("{order: val/l1,", "{order: l1,", "l1"),
        ("{finding: none,", "{finding: diverges,", "diverges"),
    ],
)
def test_a_name_that_nothing_has_is_reported(tmp_path, before, after, name):  # proof, as below
    text_ = (ROOT / OFFICIAL[0]).read_text(encoding="utf-8")
    (tmp_path / "x.yaml").write_text(text_.replace(before, after, 1), encoding="utf-8")
    assert unknown_names(plan(tmp_path / "x.yaml")) == [name]


@pytest.mark.parametrize(
    ("before", "after"),
    [("where: {kind: vae}", "where: {kine: vae}"), ("0.003 < 0.001", "0.003 < 0.1")],
)
def test_an_axis_or_value_that_no_cell_has_is_refused(tmp_path, before, after):
    text_ = (ROOT / OFFICIAL[0]).read_text(encoding="utf-8")
    assert before in text_
    (tmp_path / "x.yaml").write_text(text_.replace(before, after), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no such axis|no cell has"):
        plan(tmp_path / "x.yaml")


def test_a_file_with_a_mistake_is_refused(tmp_path):  # proof that the test can fail
    text = (ROOT / OFFICIAL[0]).read_text(encoding="utf-8").replace("batch: 64", "bach: 64")
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x\.yaml:\d+:\d+: training\.bach: unknown key"):
        plan(tmp_path / "x.yaml")
