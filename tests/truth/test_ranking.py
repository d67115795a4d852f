"""By which score cells are ranked, and that the verdict stands where people look."""

import json

import pytest

from tests.truth import words
from tests.truth.shop import DIGITS, INK, QUESTION, Play, Shop, finding, holds, results

KINDS = ["l1", "l2", "laplace", "bce"]


def best_of(shop: Shop, score: str, axis: str, name: str = "tiny", higher: bool = False) -> str:
    """The value of `axis` of the run with the best score, from the runs' own records."""
    ends = {}
    for run in shop.runs(name):
        ends[str(run.config()["matrix"][axis])] = run.done()["scores"][score]
    return (max if higher else min)(ends, key=ends.get)


def named_best(lead: str, values) -> str:
    """Which of `values` the sentence about the best cell names first."""
    sentence = next((x for x in lead.splitlines() if words.has(words.BEST, x)), "")
    places = {v: sentence.find(str(v)) for v in values if str(v) in sentence}
    return min(places, key=places.get) if places else ""


# -- losses of different meaning are not ranked ----------------------------------------------------


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """One net under four losses, at two rates; each loss is another quantity."""
    shop = Shop(tmp_path_factory.mktemp("units"))
    matrix = {"recon": KINDS, "lr": [0.001, 0.01]}
    path = shop.write(
        matrix=matrix, loss__reconstruction="${matrix.recon}",
        training__optimizer__lr="${matrix.lr}", training__inputs=640,
    )  # fmt: skip
    # what a density scores may be negative, and then looks like the best loss
    losses = {"l1": 0.0531, "l2": 0.012, "laplace": -0.262, "bce": 0.44}
    true = {"l1": 0.05, "l2": 0.06, "laplace": 0.07, "bce": 0.08}

    def plot(axes):
        factor = 0.98 if axes["lr"] == 0.01 else 1.0
        scores = {"loss": losses[axes["recon"]], "l1": true[axes["recon"]] * factor}
        return Play(scores, floors=[("l1", 0.2, "best constant")])

    shop.play(path, plot)
    return shop


def test_losses_in_different_units_are_not_ranked(units):
    page = units.entry()
    assert named_best(page.lead, KINDS) == "l1"
    assert "-0.262" not in page.lead
    assert "−0.262" not in page.lead
    best = [row for row in page.rows if row.best]
    assert [row["recon"] for row in best] == ["l1"]


def test_the_page_says_by_which_score_it_ranks_and_why(units):
    page = units.entry()
    assert words.has(r"val(idation |/)l1\b", page.lead)
    assert words.has(r"val/loss is (not|another)|not the same (quantity|loss|meaning)", page.text)


def test_tables_and_files_lead_with_the_comparable_score(units):
    compared = units.compare("tiny")
    assert compared["ranked_by"]["score"] == "val/l1"
    bars = {row["recon"]: row["meter"] for row in compared["rows"] if row["lr"] == 0.01}
    assert len(set(bars.values())) > 1
    rows = results(units)
    assert any(key.startswith("val/l1") for key in rows[0])


def test_shares_of_variance_are_of_the_comparable_score(units):
    """Of the loss nearly all would be the unit's; `lr` moves l1 only."""
    line = [x for x in units.entry().lead.splitlines() if words.has("variance", x)]
    assert line, "the lead gives no shares of variance"
    assert words.has(r"\bl1\b", line[0].partition(",")[0])


@pytest.mark.parametrize(
    ("axis", "values", "key", "score"),
    [
        ("kind", ["autoencoder", "vae"], "model__kind", "val/l1"),
        ("weight", [0.001, 1.0], "loss__kl_weight", "val/l1"),
        ("scale", [1.0, 100.0], "loss__scale", "val/l1"),
    ],
)
def test_a_loss_with_other_terms_or_weights_is_another_loss(tmp_path, axis, values, key, score):
    shop = Shop(tmp_path)
    more = {"loss__reconstruction": "laplace"} if axis == "scale" else {}
    path = shop.write(matrix={axis: values}, **{key: f"${{matrix.{axis}}}"}, **more)
    # by the loss the first cell would win, by l1 the second one does
    first = values[0]
    ends = {True: {"loss": 0.05, "l1": 0.08}, False: {"loss": 0.9, "l1": 0.04}}
    shop.play(path, lambda axes: Play(ends[axes[axis] == first]))
    assert shop.compare("tiny")["ranked_by"]["score"] == score
    page = shop.entry()
    assert [row[axis] for row in page.rows if row.best] == [f"{values[1]:g}" if
            isinstance(values[1], float) else values[1]]  # fmt: skip


def test_heads_with_different_losses_are_ranked_by_what_they_answer(tmp_path):
    shop = Shop(tmp_path)
    path = shop.write(
        QUESTION, "q", loss__kind="${matrix.loss}", model__head__kind="${matrix.head}",
        matrix={"include": [{"head": "mlp", "loss": "bce"},
                            {"head": "distance", "loss": "margin"}]},
        data__pretext="unmix", data__sources=3, data__mixed=2,
    )  # fmt: skip
    ends = {"margin": {"loss": 0.01, "accuracy": 0.5}, "bce": {"loss": 0.6, "accuracy": 0.8}}
    shop.play(path, lambda axes: Play(ends[axes["loss"]]))
    page = shop.entry("q")
    assert shop.compare("q")["ranked_by"]["score"] == "val/accuracy"
    assert named_best(page.lead, ["distance", "mlp"]) == "mlp"
    assert words.has("accuracy", page.lead)


def test_where_no_score_compares_nothing_is_ranked(tmp_path):
    shop = Shop(tmp_path)
    path = shop.write(matrix={"recon": ["l1", "l2"]}, loss__reconstruction="${matrix.recon}")
    ends = {"l1": {"loss": 0.3}, "l2": {"loss": 0.1}}
    shop.play(path, lambda axes: Play(ends[axes["recon"]]))
    page = shop.entry()
    assert not words.has(words.BEST, page.lead)
    assert words.has(words.NOT_RANKED, page.lead)
    assert not [row for row in page.rows if row.best or row.bar is not None]
    assert shop.compare("tiny")["ranked_by"]["better"] is None


def test_ranking_by_a_question_that_differs_between_cells_is_refused_for_its_accuracy(tmp_path):
    """Two pretexts: their accuracies answer different questions; only kNN compares."""
    shop = Shop(tmp_path)
    matrix = {"pretext": ["rotation", "quadrant"]}
    path = shop.write(QUESTION, "q", matrix=matrix, data__pretext="${matrix.pretext}")
    ends = {"rotation": {"loss": 0.2, "accuracy": 0.9, "knn": 0.5},
            "quadrant": {"loss": 2.0, "accuracy": 0.4, "knn": 0.7}}  # fmt: skip
    shop.play(path, lambda axes: Play(ends[axes["pretext"]]))
    assert shop.compare("q")["ranked_by"]["score"] == "val/knn"
    assert named_best(shop.entry("q").lead, matrix["pretext"]) == "quadrant"


def test_the_real_thing_ranks_an_autoencoder_and_a_vae_by_l1(tmp_path):
    """Trained, not told: whichever is better, it is by l1."""
    shop = Shop(tmp_path)
    path = shop.write(matrix={"kind": ["autoencoder", "vae"]}, model__kind="${matrix.kind}",
                      loss__kl_weight=0.1, training__inputs=640)  # fmt: skip
    shop.do("run", path)
    assert shop.compare("tiny")["ranked_by"]["score"] == "val/l1"
    # by the bar: nets of 20 steps have learned nothing, and none is marked as the best
    longest = max(shop.entry().rows, key=lambda row: row.bar)
    assert longest["kind"] == best_of(shop, "val/l1", "kind")


# -- the verdict where people look -----------------------------------------------------------------


@pytest.fixture(scope="module")
def ill(tmp_path_factory):
    """Four cells, all worse than a constant; two of them with a cause."""
    shop = Shop(tmp_path_factory.mktemp("ill"))
    path = shop.write(matrix={"lr": [0.001, 0.002, 0.003, 0.004]},
                      training__optimizer__lr="${matrix.lr}",
                      training__inputs=640)  # fmt: skip

    def plot(axes):
        found = [finding("dead-units")] if axes["lr"] > 0.002 else []
        return Play({"loss": 0.3 + axes["lr"], "l1": 0.3 + axes["lr"]}, findings=found,
                    floors=[(s, 0.2, "best constant") for s in ("loss", "l1")])  # fmt: skip

    shop.play(path, plot)
    return shop


def test_what_happened_names_the_cause(ill):
    page = ill.entry()
    happened = page.section("what happened")
    assert words.has(r"dead[- ]units", happened), happened


def test_the_index_names_the_cause_beside_its_entry(ill):
    entries = ill.index().text.split("To do")[0]
    assert words.has(r"dead[- ]units", entries), entries


def test_status_names_the_cause_of_each_run(ill):
    lines = ill.do("status").out.splitlines()
    for run in ill.runs():
        line = next(x for x in lines if run.id in x)
        ails = run.config()["matrix"]["lr"] > 0.002
        assert words.has(r"dead[- ]units", line) == ails, line
    assert [holds_cause(row) for row in sorted(ill.status(), key=lambda r: r["slug"])] == [
        False, False, True, True]  # fmt: skip


def holds_cause(row) -> bool:
    return "dead-units" in json.dumps(row)


def test_what_is_common_to_all_cells_comes_first(ill):
    happened = ill.entry().section("what happened")
    common = words.re.search(r"\b(all|each of the|none of the) (4|four)\b", happened, words.re.I)
    assert common, happened
    single = [happened.find(f"lr 0.00{n}") for n in range(1, 5) if f"lr 0.00{n}" in happened]
    assert all(common.start() < at for at in single)
    assert words.has(r"constant", happened[common.start() :].splitlines()[0])


def test_a_failed_run_does_not_say_that_it_finished(shop):
    path = shop.write(training__optimizer={"name": "sgd", "lr": 1e30}, training__on_nan="stop")
    shop.do("run", path, code=1)
    run = shop.runs()[0]
    assert run.status() == "failed"
    text = shop.run_page(run).text
    assert not words.has(r"ended: finished|attempt 1[^\n]*\bfinished\b", text)
    assert words.has(r"attempt 1[^\n]*(fail|not finite|nan|inf)", text)


def test_cells_below_raw_pixels_say_so_first(shop):
    """Better than chance, and worth less than no net at all."""
    path = shop.write(QUESTION, "q", matrix={"lr": [0.001, 0.003]},
                      training__optimizer__lr="${matrix.lr}")  # fmt: skip
    floors = [("accuracy", 0.25, "chance"), ("knn", 0.8, "raw-pixel kNN")]
    scores = {"loss": 0.9, "accuracy": 0.9, "knn": 0.4}
    shop.play(path, Play(scores, floors=floors))
    happened = shop.entry("q").section("what happened")
    assert words.has(r"raw[- ]pixel", happened), happened


def test_one_cell_below_raw_pixels_says_so_too(shop):
    path = shop.write(QUESTION, "q")
    floors = [("accuracy", 0.25, "chance"), ("knn", 0.8, "raw-pixel kNN")]
    shop.play(path, Play({"loss": 0.9, "accuracy": 0.9, "knn": 0.4}, floors=floors))
    assert words.has(r"raw[- ]pixel", shop.entry("q").section("what happened"))
    assert words.has(r"raw[- ]pixel", shop.index().text.split("To do")[0])


def test_copies_across_the_split_stand_first(shop):
    """Pictures of one folder, of which a validation of its own holds many again."""
    folder = copies(shop.folder / "pictures")
    path = shop.write(DIGITS, "own", data={"name": str(folder), "validation": 0.25, "size": 8})
    shop.do("run", path)
    page = shop.entry("own")
    assert words.has(words.COPIES, page.lead), page.lead
    assert words.has(words.COPIES, shop.index().text.split("To do")[0])
    text = shop.run_page(shop.runs("own")[0]).text
    assert words.has(words.COPIES, text[: len(text) // 2]), "only at the end of the run's page"


def copies(folder):
    """48 pictures: each of 12 stands there four times."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    drawn = np.random.default_rng(3).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    for n in range(48):
        Image.fromarray(drawn[n % 12]).save(folder / f"{n:02d}.png")
    return folder


def test_ink_is_ranked_by_the_score_that_the_file_keeps(shop):
    path = shop.write(INK, "ink", matrix={"lr": [0.001, 0.003]},
                      training__optimizer__lr="${matrix.lr}",
                      training__keep={"best": "val/auc"})  # fmt: skip
    ends = {0.001: {"loss": 0.3, "auc": 0.6}, 0.003: {"loss": 0.4, "auc": 0.9}}
    shop.play(path, lambda axes: Play(ends[axes["lr"]]))
    assert named_best(shop.entry("ink").lead, ["0.001", "0.003"]) == "0.003"
    assert holds(shop.compare("ink")["ranked_by"], "val/auc")
