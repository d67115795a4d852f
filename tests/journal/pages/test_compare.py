import csv
import io
import json

import pytest

from famulus.config.errors import ConfigError, StoreError
from famulus.journal.pages.compare import compare
from tests.journal import conftest as lab

NAME = "tiles/compare-datasets"


def test_a_column_that_is_not_shown_sorts_too(laboratory):
    out = json.loads(compare(laboratory, [NAME], ["run"], sort=["-val/psnr"], format="json"))
    assert "val/psnr" not in out["columns"]
    shown = json.loads(compare(laboratory, [NAME], ["run", "psnr"], format="json"))
    value = {row["run"]: row["val/psnr"] for row in shown["rows"]}
    order = [v for row in out["rows"] if (v := value[row["run"]]) is not None]
    assert order == sorted(order, reverse=True)
    assert order != sorted(order)


def test_a_score_that_is_asked_for_ranks(laboratory):
    out = json.loads(compare(laboratory, [NAME], score="psnr", format="json"))
    assert out["ranked_by"]["score"] == "val/psnr"


def test_an_experiment_is_its_table(laboratory):
    out = compare(laboratory, [NAME], include=["psnr"], exclude=["minutes"], sort=["val/loss"])
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["set", "filter", "size", "lr"]
    assert "val/psnr" in lines[0]
    assert "minutes" not in lines[0]
    assert len(lines) == 2 + 37 + 2
    assert lines[-1] == "val/loss: lower is better; the longest bar is the best"
    assert lines[2].split()[:3] == ["mnist", "bilinear", "20"]


def test_averages_over_two_axes(laboratory):
    out = compare(laboratory, [NAME], average=["lr", "size"], format="csv", exclude=["status"])
    lines = list(csv.DictReader(io.StringIO(out)))
    own = [line for line in lines if line["set"] == "mnist" and line["filter"] == "bilinear"]
    values = [
        lab.truth({"set": "mnist", "filter": "bilinear", "size": s, "lr": lr}, seed)
        for s in (20, 28, 32) for lr in (0.0003, 0.001) for seed in (0, 1)
    ]  # fmt: skip
    score = next(k for k in own[0] if k.startswith("val/loss"))
    assert float(own[0][score]) == pytest.approx(sum(values) / 12)
    assert float(own[0][f"{score} (min)"]) == min(values)


def test_runs_side_by_side_list_what_differs(laboratory):
    child = next(r for r in laboratory.runs(NAME) if r.id == lab.run_id("child"))
    parent = lab.run_id(lab.cells()[-1], 1)
    out = compare(laboratory, [child.id, parent])
    assert f"training.optimizer.lr: {child.id[:6]} 0.0003, {parent[:6]} 0.001" in out
    data = json.loads(compare(laboratory, [child.id, parent], format="json"))
    assert data["differences"]["training.optimizer.lr"] == {child.id: 0.0003, parent: 0.001}
    assert len(data["rows"]) == 2


def test_what_is_not_there_is_named(laboratory):
    with pytest.raises(StoreError, match="expected the id of a run"):
        compare(laboratory, ["zzzz"])
    with pytest.raises(ConfigError, match=r"expected a score of val/loss, val/psnr"):
        compare(laboratory, [NAME], score="mae")
    with pytest.raises(ConfigError, match="expected an experiment or runs"):
        compare(laboratory, [])
