"""What `famulus new` prints, for schemas made here."""

from types import SimpleNamespace
from typing import ClassVar

from pydantic import Field

from famulus.config.experiment import read
from famulus.config.schema import Strict
from famulus.config.yaml import load
from famulus.launch.template import template


class Data(Strict):
    name: str = Field("no: yes", description="a text that could be misread")
    share: float | None = Field(None, description="of the data, 0..1")
    sizes: list[int] = Field([1, 2])


class Nothing(Strict):
    """Nothing to set."""


class Config(Strict):
    parents: ClassVar[tuple[str, ...]] = ("codes",)
    data: Data = Data()
    loss: Nothing = Nothing()


def test_every_default_is_written_and_read_back():
    mine = SimpleNamespace(Config=Config, SCORES={})
    plan = read(template("mine", Config), (), lambda name: mine)
    for cell in plan.cells:
        assert cell.config["data"] == {"name": "no: yes", "share": None, "sizes": [1, 2]}
        assert cell.config["loss"] == {}
        assert cell.config["codes"] == "last"
    assert [cell.config["training"]["optimizer"]["lr"] for cell in plan.cells] == [0.001, 0.0003]


def test_each_field_is_explained():
    lines = template("mine", Config).splitlines()
    assert "  share: null  # of the data, 0..1" in lines
    assert any(line.startswith("  batch: 64  # ") for line in lines)
    assert lines[1].startswith("why:")


def test_what_is_not_in_the_schema_is_not_in_the_file():  # proof that the test can fail
    document = load(template("mine", Config), "new.yaml").value
    assert "model" not in document
    assert set(document["data"]) == {"name", "share", "sizes"}
