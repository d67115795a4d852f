"""`famulus.Lab`, against the files of its store and the command line."""

import json
import os
import signal
import sys

import numpy as np
import pandas
import pytest

from famulus import Lab
from famulus.api import ConfigError, DataError, StoreError
from famulus.store.store import Store
from tests.launch.tiny import TEXT, famulus, signalled, write

MACHINE = ("rate", "wait", "memory (MB)")  # of a moment, not of the run
SCORES = ("val/loss", "val/recon", "val/l1", "val/kl")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """(folder, lab, its two runs), trained by `Lab.run` without a word."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAMULUS_CACHE", str(folder / "cache"))
        lab = Lab(folder / "runs")
        file = write(folder, TEXT.replace("task:", "expect: [{finding: none}]\ntask:", 1))
        yield folder, lab, lab.run(file, set={"training.seed": np.int64(3)})


@pytest.fixture
def lab(shop):
    return shop[1]


def done(run):
    return Store.open(run._run.files.root).run(run.experiment, run.slug, run.id).done()


def test_a_run_is_what_the_command_would_have_trained(shop, tmp_path):
    folder, _, runs = shop
    words = ("--set", "training.seed=3", "--store", tmp_path / "runs", "--json", "--no-journal")
    told = json.loads(famulus("run", folder / "tiny.yaml", *words).out)["cells"]
    assert [(run.slug, run.id, run.status) for run in runs] == [
        (cell["slug"], cell["id"], cell["status"]) for cell in told
    ]
    for run in runs:  # and bit for bit
        other = Store.open(tmp_path / "runs").run("tiny", run.slug, run.id)
        assert run._run.weights("last") == other.weights("last")
        assert run.settings["training"]["seed"] == 3
        assert os.path.isdir(run.path)


def test_nothing_is_printed(lab, capfd):
    lab.run(write(lab.store.local.parent), set={"training.seed": 4, "matrix.lr": [0.001]})
    assert capfd.readouterr() == ("", "")


def test_a_row_a_run_from_the_files(lab, shop):
    rows = [row for row in lab.rows("tiny") if row["training.seed"] == 3]
    assert [row["id"] for row in rows] == [run.id for run in shop[2]]
    for row, run in zip(rows, shop[2], strict=True):
        told, events = done(run), list(run._run.events())
        assert row["status"] == told["status"] == "finished"
        assert (row["inputs"], row["seconds"]) == (told["inputs"], told["seconds"])
        assert row["matrix.lr"] == row["training.optimizer.lr"] == run.settings["matrix"]["lr"]
        values = [e["values"] for e in events if e["kind"] == "val"]
        assert len(values) == 2
        for score in SCORES:
            assert row[score] == told["scores"][score]
            if score != "val/kl":  # which way that is better, nobody says
                best = min(v[score.removeprefix("val/")] for v in values)
                assert row[f"best {score}"] == best
        assert "best val/kl" not in row
        floors = {
            f"baseline val/{e['score']}: {e['means']}": e["value"]
            for e in events
            if e["kind"] == "floor" and e["means"] != "initial loss"
        }
        assert floors.items() <= row.items()
        assert floors
        assert row["findings"] == list(
            dict.fromkeys(e["cause"] for e in events if e["kind"] == "finding")
        )
    assert len({tuple(row) for row in rows}) == 1  # equal keys: a table
    assert "training.batch" not in rows[0]  # alike in all runs
    json.dumps(rows)


def test_the_table_is_the_rows(lab):
    table, rows = lab.table("tiny"), lab.rows("tiny")
    assert list(table.columns) == list(rows[0])
    assert table["val/loss"].tolist() == [row["val/loss"] for row in rows]
    assert table.groupby("matrix.lr")["val/l1"].mean().notna().all()


def test_a_curve_is_what_was_logged(lab, shop):
    run = shop[2][0]
    curve = lab.curve(run.id)
    assert list(curve.columns) == ["step", "inputs", "seconds", "split", "score", "value"]
    told = [
        (e["step"], e["inputs"], e["kind"], name, value)
        for e in run._run.events()
        if e["kind"] in ("train", "val")
        for name, value in e["values"].items()
    ]
    named = curve[curve.split.isin(["train", "val"])]
    points = set(named[["step", "inputs", "split", "score", "value"]].itertuples(index=False))
    assert set(told) <= {tuple(point) for point in points}
    rate = curve[curve.score == "lr"]
    assert set(rate.split) == {"train"}
    assert rate.value.iloc[0] == pytest.approx(run.settings["matrix"]["lr"], rel=0.1)


def test_an_interrupted_run_is_one_curve_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    file, one = write(tmp_path), {"matrix.lr": [0.001]}
    before = signal.getsignal(signal.SIGINT)  # ignored where the tests run in the background
    whole, lab = Lab(tmp_path / "whole"), Lab(tmp_path / "runs")
    (sound,) = whole.run(file, set=one)
    with signalled(6), pytest.raises(KeyboardInterrupt, match="SIGINT"):
        lab.run(file, set=one)
    (run,) = lab.runs("tiny")
    assert run.status == "interrupted"
    (again,) = lab.run(file, set=one)
    assert (again.id, again.status) == (sound.id, "finished")
    ours, theirs = (
        c[c.split.isin(["train", "val"]) & ~c.score.isin(MACHINE)].reset_index(drop=True)
        for c in (again.curve(), sound.curve())
    )
    same = ["step", "inputs", "split", "score", "value"]
    pandas.testing.assert_frame_equal(ours[same], theirs[same])
    assert signal.getsignal(signal.SIGINT) is before  # handed back
    said = famulus("extend", run.id, "--inputs", "+64", "--store", tmp_path / "runs")
    assert said.code == 0, said.err
    steps = lab.curve("last").query("split == 'train' and score == 'total'").step
    assert steps.tolist() == list(range(1, 13))  # of parent and child


def test_findings_are_those_of_diagnose(lab, shop):
    for run in shop[2]:
        words = ("diagnose", run.id, "--store", lab.store.root, "--json")
        found = json.loads(json.dumps([f.event() for f in lab.findings(run.id)]))
        assert found == json.loads(famulus(*words).out)


def test_a_report_is_the_page(lab, tmp_path):
    report = lab.report("tiny")
    said = famulus("journal", "tiny", "--store", lab.store.root)
    assert str(report.path) in said.out.splitlines()
    assert os.fspath(report) == str(report.path)
    assert report.html == report.path.read_text()
    assert "<h1" in report.html
    other = lab.report("tiny", tmp_path / "pages")
    assert (tmp_path / "pages/index.html").exists()
    assert other.html == report.html
    assert report.sentences[0] in report._repr_html_().replace("&amp;", "&")


def test_what_is_there(lab, shop):
    assert lab.experiments() == ["tiny"]
    assert {run.id for run in shop[2]} <= {run.id for run in lab.runs()}
    assert lab.find(shop[2][0].id[:7]).id == shop[2][0].id
    model = lab.load(shop[2][0].id, "last", "cpu")
    weights = shop[2][0].load("last").module.state_dict()
    assert all((value == weights[name]).all() for name, value in model.module.state_dict().items())


def test_mistakes_are_exceptions_of_one_line(lab, tmp_path, capfd):
    file = write(tmp_path)
    wrong = [
        (ConfigError, "did you mean 'batch'", lambda: lab.run(file, set={"training.bach": 3})),
        (ConfigError, "received object", lambda: lab.run(file, set={"training.batch": object()})),
        (ConfigError, "can't read the experiment", lambda: lab.run(tmp_path / "none.yaml")),
        (DataError, "does not exist", lambda: lab.run(file, set={"data.name": "./none"})),
        (StoreError, "received 'tinny': tiny", lambda: lab.table("tinny")),
        (StoreError, "received 'tinny': tiny", lambda: lab.report("tinny")),
        (StoreError, "none-such", lambda: lab.curve("none-such")),
        (StoreError, "expected a run", lambda: Lab(tmp_path / "none").load("last")),
    ]
    for kind, words, call in wrong:
        with pytest.raises(kind, match=words) as error:
            call()
        assert "\n" not in str(error.value)
    assert Lab(tmp_path / "none").experiments() == []
    assert not (tmp_path / "none").exists()  # reading makes no store
    assert capfd.readouterr() == ("", "")


def test_a_run_that_fails_is_an_error_after_the_others(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    text = TEXT.replace("[0.001, 0.003]", "[1.0e+30, 0.001]")
    lab = Lab(tmp_path / "runs")
    with pytest.raises(Exception, match=r"lr=1e.30-\w+: failed \(loss-not-finite") as error:
        lab.run(write(tmp_path, text))
    assert "\n" not in str(error.value)
    assert [run.status for run in lab.runs()] == ["finished", "failed"]


def test_without_pandas_the_rows_are_there(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert lab.rows("tiny")
    for call in (lambda: lab.table("tiny"), lambda: lab.curve("last")):
        with pytest.raises(DataError, match=r"famulus\[pandas\]"):
            call()


def test_what_shows_in_a_notebook_is_escaped(lab, shop):
    row = {"<script>": "<b>&", "none": None, "list": ["a", "<i>"], "count": 12_345, "x": 0.123456}
    from famulus.lab.run import Rows

    shown = Rows([row] * 70)._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "a, &lt;i&gt;" in shown
    assert "12,345" in shown
    assert "0.123" in shown
    assert "and 10 more rows" in shown
    for value in (shop[2], shop[2][0], lab.rows("tiny")):
        html = value._repr_html_()
        assert shop[2][0].id in html
        assert "color:" not in html  # the notebook's own, light or dark
        assert len(html) < 40_000
