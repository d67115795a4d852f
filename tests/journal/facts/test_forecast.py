"""Words and scores of forecasts, from runs as the store gives them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from famulus.cli import app
from famulus.journal.facts import forecast
from famulus.journal.facts.curves import Series
from famulus.store.store import Store
from tests.journal.runs import record

N = 100_000
CONFIG = {"training": {"inputs": N, "optimizer": {"lr": 0.001}, "batch": 50,
                       "schedule": {"name": "cosine"}, "seed": 0}}  # fmt: skip


def law(upto, floor=0.02, every=250):
    """A power law in the summed rate of a cosine, as a series of losses."""
    at = np.arange(every, upto + 1, every, dtype=float)
    s = at / N + np.sin(np.pi * at / N) / np.pi
    return Series(at / 50, at, at / 1000, floor + 0.5 * (1 + s / 0.002) ** -0.5)


def run(status, upto=N, number=0, **config):
    series = law(upto, 0.01 * (1 + number))
    curves = {"val/loss": series, "train/total": series}
    return record(status=status, id=f"{number:012d}", config=CONFIG | config, series=curves)


def test_a_run_under_way_is_told_its_end_and_a_finished_one_is_not():
    rows = forecast.lines([run("running", 8_000), run("finished")])
    assert len(rows) == 1
    assert rows[0]["low"] < rows[0]["value"] < rows[0]["high"]
    assert rows[0]["says"].startswith("ends near 0.0")
    assert "80%" in rows[0]["says"]


def test_the_recorded_score_of_the_best_constant_counts():
    plain, finished = run("running", 8_000), run("finished")
    level = plain.series["val/loss"].value[-1]
    floors = ({"score": "loss", "means": "best constant", "value": float(level)},)
    told = replace(plain, floors=floors)
    assert forecast.ahead(told).low < 0.8 * forecast.ahead(plain).low
    before = forecast.judge([finished]).result.error
    assert forecast.judge([replace(finished, floors=floors)]).result.error != before


def test_a_refusal_gives_its_reason():
    row = forecast.lines([run("interrupted", 1_000)])[0]
    assert row["reason"].startswith("only 1.0% of the run")
    assert row["says"] == f"no forecast: {row['reason']}"


def test_finished_runs_judge_and_what_cannot_be_judged_is_counted():
    plateau = {"training": CONFIG["training"] | {"schedule": {"name": "plateau"}}}
    runs = [*(run("finished", number=n) for n in range(4)), run("finished", number=9, **plateau)]
    judged = forecast.judge([*runs, run("running", 8_000)])
    found = judged.json()
    assert (found["curves"], found["cutoffs"]) == (4, 24)
    assert found["error_over_last"] < 0.5
    assert sum(found["left_out"].values()) == 1
    words = forecast.told(judged)
    assert "24 forecasts at 5 to 10 % of 4 finished runs" in words
    assert "plateau" in words
    s = law(N)  # control: curves that never move leave nothing to judge
    still = {"val/loss": Series(s.step, s.inputs, s.seconds, np.full(len(s), 0.3))}
    flat = [replace(run("finished", number=n), series=still) for n in range(2)]
    assert forecast.judge(flat).json()["why"] == "no curve to judge"


@pytest.mark.parametrize("options", [[], ["--backtest"]])
def test_the_command_answers_in_words_and_in_json(tmp_path, options):
    Store.open(tmp_path)
    plain = CliRunner().invoke(app, ["forecast", *options, "--store", str(tmp_path)])
    assert plain.exit_code == 0
    assert plain.output
    machine = CliRunner().invoke(app, ["forecast", *options, "--store", str(tmp_path), "--json"])
    assert json.loads(machine.output) in (
        [],
        {"curves": 0, "left_out": {}, "why": "no curve to judge"},
    )
