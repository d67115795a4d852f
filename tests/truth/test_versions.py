"""Which version of a file a run belongs to, and under which settings it stands."""

import pytest

from tests.truth import words
from tests.truth.shop import Shop, holds

INTERNAL = "origin"  # a key of run.yaml that no file has
RATES = {"matrix": {"lr": [0.001, 0.003]}, "training__optimizer__lr": "${matrix.lr}"}


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    """Two cells, the first of them repeated."""
    shop = Shop(tmp_path_factory.mktemp("repeated"))
    shop.do("run", shop.write(**RATES))
    first = next(r for r in shop.runs() if "0.001" in r.slug)
    again = shop.do("rerun", first.id, "--current-code", "--json").json()["cells"][0]["id"]
    return shop, first, shop.store.find(again)


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """Two cells; the first one's child with ten times the rate and three times the budget."""
    shop = Shop(tmp_path_factory.mktemp("family"))
    shop.do("run", shop.write(**RATES))
    parent = next(r for r in shop.runs() if "0.001" in r.slug)
    more = ("--set", "training.optimizer.lr=0.01", "--set", "training.inputs=480")
    child = shop.do("resume", parent.id, *more, "--json").json()["cells"][0]["id"]
    return shop, parent, shop.store.find(child)


def says(row, inputs: int) -> bool:
    """Does any cell of a row name that many inputs?"""
    return any(words.has(rf"(?<![\d.,]){inputs}(?![\d.,])", cell) for cell in row.cells.values())


# -- a repetition is no version of the file --------------------------------------------------------


def test_after_a_repetition_nobody_is_told_that_the_file_changed(repeated):
    shop, *_ = repeated
    for text in (shop.entry().text, shop.markdown(), shop.index().text):
        assert not words.has(words.OLD_VERSION, text)
        assert not words.has(r"replicates: 1 (→|->) 2", text)


def test_a_repetition_is_not_called_a_run_of_an_earlier_version(repeated):
    shop, _, again = repeated
    assert not words.has(words.OLD_VERSION, shop.run_page(again).text)


def test_no_internal_key_is_shown_of_a_repetition(repeated):
    shop, first, again = repeated
    assert f"{INTERNAL}." not in shop.entry().text + shop.markdown()
    compared = shop.compare(first.id, again.id)
    assert not [path for path in compared.get("differences", {}) if path.startswith(INTERNAL)]
    assert INTERNAL not in shop.do("compare", first.id, again.id).out


def test_a_change_that_somebody_made_is_told_and_nothing_else(tmp_path):
    """The file changes while a repetition of its old version lies in the store."""
    shop = Shop(tmp_path)
    shop.do("run", shop.write(**RATES))
    shop.do("rerun", shop.runs()[0].id, "--current-code")
    shop.do("run", shop.write(**RATES, training__batch=16))
    text = shop.entry().text
    assert words.has(words.OLD_VERSION, text)
    assert words.has(r"training\.batch: 32 → 16", text)
    assert INTERNAL not in text
    assert not words.has(r"replicates:", text)


# -- a child stands under its own settings ---------------------------------------------------------


def test_no_internal_key_is_shown_of_a_child(family):
    shop, *_ = family
    text = shop.entry().text + shop.markdown()
    assert f"{INTERNAL}." not in text


def test_status_shows_a_child_with_its_own_settings(family):
    shop, parent, child = family
    line = next(x for x in shop.do("status").out.splitlines() if child.id in x)
    assert words.has(r"\b0\.01\b", line), line
    assert not words.has(r"\b0\.001\b", line), line
    row = next(row for row in shop.status() if row["id"] == child.id)
    told = {key: value for key, value in row.items() if key not in ("slug", "path")}
    assert holds(told, 0.01), f"no key of the row holds the rate of the child: {sorted(told)}"
    other = next(row for row in shop.status() if row["id"] == parent.id)
    assert not holds({k: v for k, v in other.items() if k not in ("slug", "path")}, 0.01)


def test_the_table_shows_a_child_with_its_own_settings_and_inputs(family):
    shop, parent, child = family
    columns = ("-i", "run", "-i", "inputs", "-i", "lr")
    rows = {row["run"]: row for row in shop.compare("tiny", *columns)["rows"]}
    assert rows[child.id]["lr"] == 0.01
    assert rows[parent.id]["lr"] == 0.001
    inputs = {run: next(v for k, v in row.items() if k == "inputs") for run, row in rows.items()}
    assert inputs[child.id] == 480
    assert inputs[parent.id] == 160


def test_the_page_shows_a_child_with_its_own_settings_and_inputs(family):
    shop, _, child = family
    row = next(row for row in shop.entry().rows if child.id in row.href)
    assert row["lr"] == "0.01"
    assert says(row, 480), f"the row does not say 480 inputs: {row.cells}"
    others = [r for r in shop.entry().rows if child.id not in r.href]
    assert sorted(r["lr"] for r in others) == ["0.001", "0.003"]


def test_captions_and_titles_name_a_child_by_its_own_settings(family):
    shop, _, child = family
    names = [series["n"] for series in shop.entry().curves if child.id in series.get("u", "")]
    assert names
    for name in [*names, shop.run_page(child).title]:
        assert words.has(r"\b0\.01\b", name), name
        assert not words.has(r"\b0\.001\b", name), name


def test_a_child_that_was_trained_longer_is_not_the_best_without_a_word(family):
    shop, _, child = family
    score = "val/loss"
    scores = {row["id"]: row["scores"][score] for row in shop.status()}
    assert min(scores, key=scores.get) == child.id  # so that a ranking would choose it
    page = shop.entry()
    row = next(row for row in page.rows if child.id in row.href)
    ranked = row.best or row.bar is not None
    assert not ranked or words.has(words.LENGTHS, page.text)


def test_compare_does_not_rank_rows_of_different_lengths_without_a_word(family):
    shop, parent, child = family
    text = shop.do("compare", parent.id, child.id).out
    bars = [line for line in text.splitlines() if words.has(r"([*█■▇])\1{2,}", line)]
    assert not bars or words.has(words.LENGTHS, text)


def test_an_extended_run_says_how_long_it_was_trained(tmp_path):
    """The same settings at another length: only the inputs tell the two rows apart."""
    shop = Shop(tmp_path)
    shop.do("run", shop.write())
    parent = shop.runs()[0]
    child = shop.do("extend", parent.id, "--inputs", "480", "--json").json()["cells"][0]["id"]
    page = shop.entry()
    rows = {child in row.href: row for row in page.rows}
    assert says(rows[True], 480)
    assert says(rows[False], 160)
    row = next(row for row in page.rows if child in row.href)
    assert not (row.best or row.bar is not None) or words.has(words.LENGTHS, page.text)
