"""What each command does, on a tiny experiment of real digits that is trained once for all."""

import re
import shutil
from pathlib import Path

import pytest
from typer.main import get_command

from famulus import cli
from famulus.config.experiment import read
from famulus.config.identity import LENGTH
from famulus.journal.facts.read import read_run
from famulus.store import index
from famulus.store.store import Store
from tests.launch.tiny import ONE, STEPS, complains, famulus, lost, signalled, tree, write

COMMANDS = get_command(cli.app).commands
DATA = COMMANDS["data"].commands
ID = re.compile(rf"\b[0-9a-f]{{{LENGTH}}}\b")
MODEL = "model.safetensors"


@pytest.fixture(scope="module", autouse=True)
def _apart(tmp_path_factory):
    """No test touches the user's cache, data or store."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("FAMULUS_CACHE", str(folder / "cache"))
        patch.setenv("FAMULUS_DATA", str(folder / "data"))
        patch.setenv("FAMULUS_STORE", str(folder / "runs"))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of the experiment, its finished store `runs`, and what `run` said."""
    folder = tmp_path_factory.mktemp("trained")
    file = write(folder)
    said = famulus("run", file, "--store", folder / "runs")
    assert said.code == 0, said.err
    return folder, said


@pytest.fixture(scope="module")
def family(trained, tmp_path_factory):
    """Its first run's children: one extended, one resumed with another rate, one repeated."""
    folder = tmp_path_factory.mktemp("family")
    store = Store.open(shutil.copytree(trained[0] / "runs", folder / "runs"))
    run = store.runs()[0]
    at = ("--store", store.root, "--json")
    said = {
        "extend": famulus("extend", run.id, "--inputs", "+1k", *at),
        "resume": famulus(
            *("resume", run.id, "--from", 8, "--set", "training.optimizer.lr=0.0001", *at)
        ),
        "rerun": famulus("rerun", run.id, "--current-code", *at),
    }
    made = {
        name: store.run(run.experiment, run.slug, one.json()["cells"][0]["id"])
        for name, one in said.items()
    }
    return store, run, made, said


@pytest.fixture
def store(trained, tmp_path):
    """A copy that a test may change."""
    return Store.open(shutil.copytree(trained[0] / "runs", tmp_path / "runs"))


def points(run, kind="train", curve=True):
    events = run.curve() if curve else run.events()
    return [(e["step"], e["values"]) for e in events if e["kind"] == kind]


# -- help, versions, JSON ------------------------------------------------------------------------


def every_command():
    return [[name] for name in COMMANDS] + [["data", name] for name in DATA]


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_help_names_every_option(words):
    said = famulus(*words, "--help")
    assert said.code == 0
    assert said.err == ""
    command = COMMANDS[words[0]] if len(words) == 1 else DATA[words[1]]
    assert (command.help or "").split("\n")[0][:40] in " ".join(said.out.split())
    for parameter in command.params:
        shown = max(parameter.opts, key=len)
        if shown.startswith("-"):
            assert shown in said.out
        assert getattr(parameter, "help", "x") != ""


def test_the_commands_of_the_design_exist():
    named = "new check run resume extend rerun status compare diagnose journal apply data schema"
    assert set(named.split()) <= set(COMMANDS)
    assert set(DATA) == {"list", "info", "fetch", "convert"}
    assert famulus("--help").code == 0
    assert famulus("--version").out.strip()


def json_commands(trained):
    folder, _ = trained
    at = ["--store", str(folder / "runs"), "--json"]
    return [
        ["run", str(folder / "tiny.yaml"), *at],
        ["check", str(folder / "tiny.yaml"), *ONE, *at],
        *(["status", *at], ["status", "tiny", *at], ["compare", "tiny", *at], ["journal", *at]),
        *(["diagnose", "last", *at], ["data", "list", "--json"]),
        *(["data", "info", "digits", "--json"], ["causes", "--json"], ["schema"]),
    ]


def test_json_is_exactly_one_value(trained):
    for words in json_commands(trained):
        said = famulus(*words)
        assert said.code == 0, said
        assert said.json() is not None, words
        assert said.err == "", words


# -- new, check, schema, data --------------------------------------------------------------------


def test_new_writes_a_file_that_checks(tmp_path):
    path = tmp_path / "mine.yaml"
    said = famulus("new", "tiles", "-o", path)
    assert (said.code, said.out) == (0, f"{path}\n")
    assert famulus("new", "tiles").out == path.read_text()
    plan = read(path, ["why=Does it read?"], lambda name: cli_task(name))
    assert plan.name == "mine"
    before = path.read_bytes()
    complains(famulus("new", "tiles", "-o", path), 2, "mine.yaml", "exists already")
    assert path.read_bytes() == before
    complains(famulus("new", "tlies"), 2, "tlies", "'tiles'")


def cli_task(name):
    from famulus import tasks

    return tasks.load(name)


def test_check_runs_its_controls(trained):
    said = famulus("check", trained[0] / "tiny.yaml", "--store", trained[0] / "runs", "--json")
    found = {control["name"]: control for control in said.json()}
    assert {"settings", "data", "floor", "overfit one batch", "loader speed"} <= set(found)
    assert found["data"]["verdict"] == "ok"
    assert "320 training and 64 validation" in found["data"]["text"]
    assert "2 cells" in found["settings"]["text"]


def test_check_fails_where_one_batch_is_not_learned(trained):
    """The control of the control: without a rate nothing is learned."""
    words = ("check", trained[0] / "tiny.yaml", "--set", "training.optimizer.lr=0", *ONE)
    said = famulus(*words, "--store", trained[0] / "runs", "--json")
    found = {control["name"]: control for control in said.json()}
    assert found["overfit one batch"]["verdict"] in ("warning", "failed")
    assert "training.optimizer.lr" in found["overfit one batch"]["remedy"]
    assert (said.code == 1) == ("failed" in {control["verdict"] for control in found.values()})


def test_check_trains_and_stores_nothing(trained, tmp_path):
    said = famulus("check", trained[0] / "tiny.yaml", "--store", tmp_path / "new")
    assert said.code == 0
    assert set(tree(tmp_path / "new")) <= {"famulus.json"}


def test_schema_knows_the_fields_of_tasks_and_training():
    text = famulus("schema").out
    for word in ("free_bits", "reconstruction", "checkpoint_every", "replicates", "matrix"):
        assert f'"{word}"' in text


def test_data_info_counts_what_is_there():
    row = famulus("data", "info", "digits", "--json").json()
    assert (row["train"], row["validation"], row["shape"]) == (1437, 360, [1, 8, 8])
    assert sum(row["train_classes"].values()) == 1437
    rows = {r["name"]: r for r in famulus("data", "list", "--json").json()}
    assert rows["digits"]["present"]
    assert not rows["mnist"]["present"]
    assert "FAMULUS_DATA" in rows["mnist"]["missing"]


def test_data_convert_gives_the_same_pictures(tmp_path):
    assert famulus("data", "convert", "digits", tmp_path / "d.npz").code == 0
    row = famulus("data", "info", tmp_path / "d.npz", "--json").json()
    assert (row["train"], row["validation"], row["shape"]) == (1437, 360, [1, 8, 8])
    complains(famulus("data", "convert", "digits", tmp_path / "d.npz"), 3, "d.npz")
    complains(famulus("data", "info", "digit"), 2, "'digits'")
    complains(famulus("data", "info", "mnist"), 3, "mnist", "FAMULUS_DATA")


# -- run ----------------------------------------------------------------------------------------


def test_run_trains_every_cell_and_names_the_page(trained):
    folder, said = trained
    store = Store.open(folder / "runs")
    runs = store.runs()
    assert [run.slug for run in runs] == ["lr=0.001", "lr=0.003"]
    assert {run.status() for run in runs} == {"finished"}
    for run in runs:
        assert run.done()["step"] == STEPS
        assert run.config()["training"]["optimizer"]["lr"] == run.config()["matrix"]["lr"]
        assert f"{run.slug}  finished" in said.out
    page = said.out.strip().splitlines()[-1].removeprefix("journal: ")
    assert page == str(folder / "runs/journal/tiny/index.html")
    assert "does the machinery around a training hold?" in (store.local / page).read_text()


def test_run_shows_what_a_person_waits_for(trained):
    line = next(line for line in trained[1].out.splitlines() if " of 320" in line)
    for word in ("lr=0.001", "/s", "recon", "total", "left", "waiting for data"):
        assert word in line


def test_a_finished_run_is_not_trained_again(store, trained):
    before = tree(store.local)
    said = famulus("run", trained[0] / "tiny.yaml", "--store", store.root, "--json")
    assert [cell["status"] for cell in said.json()["cells"]] == ["finished", "finished"]
    assert [name for name in lost(before, tree(store.local)) if "cells.json" not in name] == []
    assert all(len(run.attempts()) == 1 for run in store.runs())


def test_operational_and_said_things_do_not_rename_a_run(trained):
    changes = ("why=Another question?", "training.workers=1", "training.device=cpu")
    words = [word for change in changes for word in ("--set", change)]
    at = ("--store", trained[0] / "runs", "--json", "--no-journal")
    same = famulus("run", trained[0] / "tiny.yaml", *words, *at).json()
    ids = {run.id for run in Store.open(trained[0] / "runs").runs()}
    assert {cell["id"] for cell in same["cells"]} == ids


def test_replicates_are_runs_of_other_seeds(tmp_path, trained):
    file, at = trained[0] / "tiny.yaml", ("--store", tmp_path / "runs", "--no-journal")
    assert famulus("run", file, *ONE, "--set", "replicates=2", *at).code == 0
    runs = Store.open(tmp_path / "runs").runs()
    assert [run.config()["training"]["seed"] for run in runs] == [0, 1]
    assert runs[0].open_checkpoint(STEPS).read(MODEL) != runs[1].open_checkpoint(STEPS).read(MODEL)
    assert runs[0].id in {run.id for run in Store.open(trained[0] / "runs").runs()}


def test_automatic_precision_is_measured_though_another_was_asked_before(tmp_path, trained):
    file, at = trained[0] / "tiny.yaml", ("--store", tmp_path / "runs", "--no-journal")
    assert famulus("run", file, *ONE, *at).code == 0
    assert famulus("run", file, *ONE, "--set", "training.precision=auto", *at).code == 0
    store = Store.open(tmp_path / "runs")
    chosen = store.planned("tiny")["resolved"]["precision-cpu"]
    facts = next(e for e in store.find("last").events() if e["kind"] == "facts")
    assert chosen == facts["precision"]
    assert chosen["name"] in ("fp32", "bf16")


def test_a_loss_that_is_not_finite_fails_with_one_line(tmp_path, trained):
    file, at = trained[0] / "tiny.yaml", ("--store", tmp_path / "runs", "--no-journal")
    rate = ("--set", "training.optimizer={name: sgd, lr: 1e+30}")
    said = famulus("run", file, *ONE, *rate, *at)
    complains(said, 1, "lr=0.001", "failed", "finite")
    assert Store.open(tmp_path / "runs").find("last").status() == "failed"


# -- resume, extend, rerun ------------------------------------------------------------------------


def test_extend_is_one_curve_with_its_parent(family):
    _store, run, made, _ = family
    longer = made["extend"]
    assert longer.config()["training"]["inputs"] == 320 + 1000
    steps = [step for step, _ in points(longer)]
    assert steps == list(range(1, 43))  # 1320 / 32, rounded up
    assert points(longer)[:STEPS] == points(run)
    assert points(longer, curve=False)[0][0] == STEPS + 1
    drawn = read_run(longer).series["train/total"]
    assert list(drawn.step) == steps
    parent = longer.lineage()["parent"]
    assert (parent["id"], parent["step"], parent["kind"]) == (run.id, STEPS, "extend")


def test_resume_with_another_rate_is_a_child_on_the_same_curve(family):
    _store, run, made, _ = family
    child = made["resume"]
    assert child.id != run.id
    assert child.config()["training"]["optimizer"]["lr"] == 0.0001
    assert [step for step, _ in points(child)] == list(range(1, STEPS + 1))
    assert points(child)[:8] == points(run)[:8]
    assert points(child)[8:] != points(run)[8:]
    assert child.lineage()["overrides"] == ["training.optimizer.lr=0.0001"]
    marks = [e for e in child.events() if e["kind"] == "mark"]
    assert any("training.optimizer.lr=0.0001" in mark["text"] for mark in marks)


def test_the_same_child_is_not_trained_twice(family):
    store, run, made, _ = family
    words = ("resume", run.id, "--from", 8, "--set", "training.optimizer.lr=0.0001")
    said = famulus(*words, "--store", store.root, "--json")
    assert said.json()["cells"][0] == {
        "slug": run.slug,
        "id": made["resume"].id,
        "status": "finished",
        "error": None,
    }
    assert len(made["resume"].attempts()) == 1


def test_rerun_is_bit_equal(family):
    _store, run, made, said = family
    again = made["rerun"]
    assert again.id != run.id
    assert again.open_checkpoint(STEPS).read(MODEL) == run.open_checkpoint(STEPS).read(MODEL)
    compared = said["rerun"].json()["compared"]
    assert compared["identical"]
    assert compared["points"] == 3 * STEPS + len(points(run, "val")) * len(points(run, "val")[0][1])
    assert points(again, curve=False) == points(run)


def test_rerun_of_a_child_begins_where_the_child_did(family):
    store, _, made, _ = family
    said = famulus("rerun", made["resume"].id, "--current-code", "--store", store.root, "--json")
    assert said.code == 0, said.err
    assert said.json()["compared"]["identical"]
    again = store.run("tiny", made["resume"].slug, said.json()["cells"][0]["id"])
    assert points(again) == points(made["resume"])


def test_a_finished_run_has_nothing_to_resume(store):
    run = store.runs()[0]
    before = tree(store.local)
    complains(famulus("resume", run.id, "--store", store.root), 2, "finished", "famulus extend")
    words = ("resume", run.id, "--set", "training.optimizer.lr=0.1", "--store", store.root)
    complains(famulus(*words), 2, run.id, "nothing is left to train")
    wrong = ("resume", run.id, "--set", "training.optimiser.lr=1", "--store", store.root)
    complains(famulus(*wrong), 2, "training.optimiser", "'optimizer'")
    assert tree(store.local) == before


def test_resume_follows_an_interruption(tmp_path, trained):
    at = ("--store", tmp_path / "runs")
    with signalled(6):
        said = famulus("run", trained[0] / "tiny.yaml", *at, "--json")
    assert said.code == 130
    assert said.json()["interrupted"] == "SIGINT"
    store = Store.open(tmp_path / "runs")
    run = store.find("last")
    assert famulus("status", *at, "--json").json()[0]["status"] == "interrupted"
    assert famulus("resume", run.id[:5], *at).code == 0
    whole = Store.open(trained[0] / "runs").find(run.id)
    assert run.open_checkpoint(STEPS).read(MODEL) == whole.open_checkpoint(STEPS).read(MODEL)
    assert points(run) == points(whole)
    assert points(run, "val") == points(whole, "val")


# -- status, compare, journal, apply ---------------------------------------------------------------


def test_status_of_an_experiment_that_is_not_there_names_those_that_are(store):
    said = famulus("status", "tinny", "--store", store.root).out
    assert said == "no runs of 'tinny': the store has tiny\n"


def test_status_without_its_index_and_with_a_damaged_one(store):
    at = ("--store", store.root, "--json")
    first = famulus("status", *at).json()
    file = index.cache_file(store.root)
    assert file.exists()
    file.unlink()
    assert famulus("status", *at).json() == first
    file.write_bytes(b"no database")
    assert famulus("status", *at).json() == first
    assert [row["status"] for row in first] == ["finished", "finished"]
    assert all(row["inputs"] == 320 for row in first)


def test_a_run_half_deleted_does_not_hide_the_others(store):
    broken, whole = store.runs()
    folder = store.local / broken.path
    (folder / "run.yaml").write_bytes(b"why: [torn")
    (folder / "done.json").write_bytes(b'{"sta')
    (folder / "attempts/1.json").unlink()
    for words in (["status"], ["status", "tiny"]):
        said = famulus(*words, "--store", store.root)
        assert said.code == 0, said.err
        assert f"{whole.id}  {whole.slug}  finished" in said.out
        assert broken.id in said.out
    said = famulus("journal", "--store", store.root)
    assert said.code == 0, said.err
    said = famulus("compare", "tiny", "--store", store.root)
    assert said.code == 0, said.err
    assert f"{whole.done()['scores']['val/loss']:.3f}" in said.out
    shutil.rmtree(folder)
    assert broken.id not in famulus("status", "--store", store.root).out


def test_status_of_an_empty_store_says_how_to_begin(tmp_path):
    said = famulus("status", "--store", tmp_path / "none")
    assert said.code == 0
    assert "famulus new" in said.out
    assert famulus("status", "--store", tmp_path / "none", "--json").json() == []


def finished(trained):
    return [run for run in Store.open(trained[0] / "runs").runs() if run.done()]


def test_compare_shows_scores_and_what_differs(trained, family):
    store, run, made, _ = family
    table = famulus("compare", "tiny", "--store", trained[0] / "runs", "--json").json()
    assert [row["lr"] for row in table["rows"]] == [0.001, 0.003]
    score = next(name for name in table["columns"] if name.startswith("val/loss"))
    ends = {r.config()["matrix"]["lr"]: r.done()["scores"]["val/loss"] for r in finished(trained)}
    assert {row["lr"]: row[score] for row in table["rows"]} == ends
    said = famulus("compare", run.id, made["resume"].id, "--store", store.root)
    assert "training.optimizer.lr" in said.out
    assert "0.0001" in said.out
    complains(famulus("compare", "tiny", "--score", "val/x", "--store", store.root), 2, "val/x")


def test_columns_of_compare_come_and_go(trained):
    def columns(*words):
        said = famulus("compare", "tiny", *words, "--store", trained[0] / "runs", "--json")
        return said.json()["columns"]

    plain = columns()
    assert "run" not in plain
    assert columns("-e", "inputs/s") == [name for name in plain if name != "inputs/s"] != plain
    assert columns("--exclude", "parameters", "-e", "lr") == [
        name for name in plain if name not in ("parameters", "lr")
    ]
    assert "run" in columns("-i", "run")
    assert "run" in columns("--include", "run", "-e", "lr")


def test_journal_writes_pages_that_need_no_net(family, tmp_path):
    store, run, _made, _ = family
    said = famulus("journal", "-o", tmp_path / "pages", "--store", store.root, "--json")
    pages = said.json()
    assert str(tmp_path / "pages/index.html") in pages
    assert str(tmp_path / "pages/tiny/index.html") in pages
    assert str(tmp_path / "pages/tiny/index.md") in pages
    for page in pages:
        if page.endswith(".html"):
            text = Path(page).read_text(encoding="utf-8")
            assert not re.search(r'(src|href)="https?://', text), page
    named = famulus("journal", run.id, "-o", tmp_path / "one", "--store", store.root, "--json")
    assert str(tmp_path / "one/tiny/index.html") in named.json()
    complains(famulus("journal", "nothing", "--store", store.root), 4, "nothing")


def test_apply_rebuilds_pictures(store, tmp_path):
    from PIL import Image

    Image.new("L", (8, 8), 90).save(tmp_path / "grey.png")
    run = store.runs()[0]
    said = famulus("apply", run.id, tmp_path / "grey.png", "-o", tmp_path / "out",
                   "--store", store.root)  # fmt: skip
    assert said.code == 0, said.err
    made = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert made
    assert any("grey" in path.name for path in made)
    words = ("apply", run.id, tmp_path / "no.png", "-o", tmp_path / "o", "--store", store.root)
    complains(famulus(*words), 3, "no.png")


def test_a_start_from_old_weights_is_in_the_lineage(store, trained):
    run = store.runs()[0]
    words = ("--set", f"start_from={run.id[:6]}@best", "--set", "training.seed=7", *ONE)
    said = famulus("run", trained[0] / "tiny.yaml", *words, "--store", store.root, "--json")
    assert said.code == 0, said.err
    warm = store.run("tiny", run.slug, said.json()["cells"][0]["id"])
    assert warm.config()["start_from"]["run"] == run.id
    assert warm.lineage()["parent"]["kind"] == "warm_start"
    assert points(warm)[0][0] == 1  # a curve of its own
    assert points(warm)[0][1]["total"] < points(run)[0][1]["total"]


def test_ids_are_what_is_printed(trained):
    said = famulus("status", "--store", trained[0] / "runs")
    ids = {run.id for run in Store.open(trained[0] / "runs").runs()}
    assert set(ID.findall(said.out)) == ids
