"""Every experiment file that is shipped reads, fits its task, and says what it asks."""

from pathlib import Path

import pytest

from famulus import tasks
from famulus.config.errors import ConfigError
from famulus.config.experiment import read
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


def test_a_file_with_a_mistake_is_refused(tmp_path):  # proof that the test can fail
    text = (ROOT / OFFICIAL[0]).read_text(encoding="utf-8").replace("batch: 64", "bach: 64")
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x\.yaml:\d+:\d+: training\.bach: unknown key"):
        plan(tmp_path / "x.yaml")
