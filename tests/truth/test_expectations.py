"""Expectations: dated, judged by the text that is printed, and in four states with four signs."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.truth import words
from tests.truth.shop import Play, Shop, everything

FOLDER = Path(__file__).parents[2] / "experiments"
REPLACED = ("scroll/ink-finetuned", "scroll/pool", "prior/tiles-colour", "qsm/iterations",
            "qsm/random-start")  # fmt: skip
LOSS = 0.3  # that every played run ends with


def expects(value: float, score: str = "val/loss", within: str = "1%", **where) -> dict:
    place = {"where": where} if where else {}
    return {"score": score, "value": value, "within": within, **place}


def line(page, pattern: str) -> tuple[str, str, str]:
    """(sign, label, text) of the one expectation that says `pattern`."""
    lines = [x for x in page.expectations if re.search(pattern, x[2])]
    assert len(lines) == 1, f"{pattern!r} in {len(lines)} of {page.expectations}"
    return lines[0]


def state_of(page, pattern: str) -> str:
    sign, label, text = line(page, pattern)
    return words.state(label) or words.state(f"{sign} {text}")


# -- when an expectation was written ---------------------------------------------------------------


@pytest.fixture(scope="module")
def foretold(tmp_path_factory):
    """One expectation, written before the first run of its file."""
    shop = Shop(tmp_path_factory.mktemp("foretold"))
    shop.play(shop.write(expect=[expects(0.3)]), Play({"loss": LOSS}))
    return shop


@pytest.fixture(scope="module")
def refitted(tmp_path_factory):
    """An expectation that was not met, replaced by one that is, after the runs."""
    shop = Shop(tmp_path_factory.mktemp("refitted"))
    play = Play({"loss": LOSS})
    shop.play(shop.write(expect=[expects(0.9)]), play)
    shop.play(shop.write(expect=[expects(0.3)]), play)
    return shop


def test_one_that_was_written_before_the_result_says_so(foretold):
    page = foretold.entry()
    assert state_of(page, r"0\.3\b") == "met"
    assert words.has(words.BEFORE, page.text)
    assert not words.has(words.AFTER, page.text)
    assert not words.has(words.AFTER, foretold.markdown())


def test_one_that_was_written_after_the_result_says_so(refitted):
    page = refitted.entry()
    assert words.has(words.AFTER, line(page, "val/loss")[2]), page.expectations
    assert words.has(words.AFTER, refitted.markdown())


def test_it_is_judged_by_the_text_that_is_printed(refitted):
    _, _, text = line(refitted.entry(), "val/loss")
    old, new = words.has(r"\b0\.9\b", text), words.has(r"val/loss 0\.3\b", text)
    assert old != new, f"one of both texts is printed: {text}"
    assert state_of(refitted.entry(), "val/loss") == ("met" if new else "not met")


def test_a_new_first_cell_does_not_make_new_text_a_prediction_of_old_runs(shop):
    """The old cell's run holds the old text; the first cell in plan order holds the new one."""
    play = Play({"loss": LOSS})
    rates = {"training__optimizer__lr": "${matrix.lr}"}
    shop.play(shop.write(matrix={"lr": [0.002]}, expect=[expects(0.9)], **rates), play)
    shop.play(shop.write(matrix={"lr": [0.001, 0.002]}, expect=[expects(0.3)], **rates), play)
    page = shop.entry()
    assert words.has(words.AFTER, line(page, "val/loss")[2]), page.expectations


def test_a_plan_narrowed_to_new_cells_does_not_hide_what_is_known(shop):
    """Broken, refitted while only a cell without a result was planned, then planned in full."""
    play, old = Play({"loss": LOSS}), expects(0.9)
    shop.play(shop.write(expect=[old]), play)
    path = shop.write(expect=[expects(0.3)])
    shop.play(path, play, "--set", "training.seed=9")
    shop.play(path, play)
    page = shop.entry()
    assert words.has(words.AFTER, line(page, r"val/loss 0\.3\b")[2]), page.expectations
    assert words.has(r"withdrawn[^.]*0\.9\b", page.text), "what was broken has vanished"


def test_each_expectation_has_a_time_of_its_own(shop):
    """One is from the beginning; another joined it after the result."""
    play = Play({"loss": LOSS, "l1": 0.2})
    first = expects(0.3)
    shop.play(shop.write(expect=[first]), play)
    shop.play(shop.write(expect=[first, expects(0.2, "val/l1")]), play)
    page = shop.entry()
    assert not words.has(words.AFTER, line(page, "val/loss 0.3")[2])
    assert words.has(words.AFTER, line(page, "val/l1")[2])


def test_other_edits_of_the_file_do_not_make_an_expectation_younger(shop):
    play = Play({"loss": LOSS})
    rates = {"training__optimizer__lr": "${matrix.lr}", "expect": [expects(0.3)]}
    shop.play(shop.write(matrix={"lr": [0.001]}, **rates), play)
    shop.play(shop.write(matrix={"lr": [0.001, 0.002]}, why="again?", comment="x", **rates), play)
    assert not words.has(words.AFTER, shop.entry().text)


def test_an_override_of_expect_after_the_result_is_after_the_result(shop):
    play, path = Play({"loss": LOSS}), shop.write(expect=[expects(0.9)])
    shop.play(path, play)
    shop.play(path, play, "--set", "expect=[{score: val/loss, value: 0.3, within: 1%}]")
    page = shop.entry()
    text = line(page, "val/loss")[2]
    assert words.has(words.AFTER, text) or words.has(r"\b0\.9\b", text)


def test_every_plan_is_on_record_with_its_hash_and_time(refitted):
    record = everything(refitted.root / "tiny")
    present = (refitted.files / "tiny.yaml").read_text()
    assert re.search(r"value: 0\.9\b|\"value\": 0\.9\b", record), "the old text is nowhere"
    folder = refitted.root / "tiny"
    runs = [folder / run.path.partition("/")[2] for run in refitted.runs()]
    files = [p for p in folder.rglob("*") if p.is_file() and not set(p.parents) & set(runs)]
    planned = "\n".join(p.read_text() for p in files)
    digest = hashlib.sha256(present.encode()).hexdigest()[:12]
    named = re.search(r'"\w*(sha256|hash|digest)": *"[0-9a-f]{8,}', planned)
    assert digest in record or named, "no record of the text's hash"
    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d", planned), "no time beside a plan"


def test_a_regression_band_is_not_called_a_prediction(refitted):
    """Nor is it counted as if it had been one, without a word."""
    happened = refitted.entry().section("what happened")
    met = [x for x in happened.splitlines() if words.has(r"expectation|promise", x)]
    assert all(words.has(words.AFTER, x) for x in met), met


@pytest.mark.parametrize("name", REPLACED)
def test_a_shipped_file_says_which_prediction_it_replaced(name):
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    comments = " ".join(x.partition("#")[2] for x in text.splitlines() if "#" in x)
    assert words.has(words.REPLACED, comments), "what was predicted?"
    assert words.has(words.CAME, comments), "what came?"


# -- what can't be judged --------------------------------------------------------------------------


def order(says: str, where: str = "mean", score: str = "val/loss", by: str = "start") -> dict:
    return {"order": score, "by": by, "says": says, "in": where}


def by_start(axes) -> Play:
    return Play({"loss": {"a": 0.4, "b": 0.2}[axes["start"]]})


def include(*cells: dict) -> dict:
    return {"include": list(cells)}


def test_axes_that_move_together_are_one_axis(shop):
    """`start` and `code` come one-to-one: a comparison of starts is one of both."""
    matrix = include({"start": "a", "code": 4}, {"start": "b", "code": 16})
    expect = [order("b < a"), order("a < b"), order("b < a", "every pair")]
    path = shop.write(matrix=matrix, model__code="${matrix.code}", expect=expect)
    shop.play(path, by_start)
    states = [words.state(label) for _, label, _ in shop.entry().expectations]
    assert states == ["met", "not met", "met"]


def test_axes_that_move_together_beside_another_axis(shop):
    """As in the shipped comparison of starts: `lr` varies freely, `start` and `code` do not."""
    starts = include({"start": "a", "code": 4}, {"start": "b", "code": 8})
    matrix = {"start": ["a", "b"], "lr": [0.001, 0.002], **starts}
    path = shop.write(
        matrix=matrix, model__code="${matrix.code}", training__optimizer__lr="${matrix.lr}",
        expect=[order("b < a"), order("b < a", "every pair"), order("a < b")],
    )  # fmt: skip
    shop.play(path, by_start)
    states = [words.state(label) for _, label, _ in shop.entry().expectations]
    assert states == ["met", "met", "not met"]


def test_the_shipped_comparison_of_starts_can_be_met():
    """Its two starts with the same rate must be cells that a comparison finds."""
    from famulus.config.experiment import read
    from famulus.journal.facts.expect import check
    from famulus.journal.facts.group import Group
    from famulus.tasks import load
    from tests.journal.runs import record

    text = (FOLDER / "transfer/clothing-tenth.yaml").read_text(encoding="utf-8")
    plan = read(text, (), load)
    groups = []
    for n, cell in enumerate(plan.cells):
        axes = {k: v for k, v in cell.axes.items() if k != "replicate"}
        score = 0.8 if axes["start"] == "pretext" else 0.6
        run = record(axes, status="finished", done={"scores": {"val/accuracy": score}})
        groups.append(Group(n, axes, (run,)))
    expect = [e for e in plan.cells[0].config["expect"] if "order" in e]
    judged = check(expect, groups, list(groups[0].axes), True)
    assert [words.state(p.state) for p in judged] == ["met"]


def test_where_nothing_pairs_it_can_not_be_judged_and_is_not_broken(shop):
    """Two starts, each at a rate of its own, and one of them at a third: no pair is alike."""
    cells = ({"start": "a", "lr": 0.001}, {"start": "a", "lr": 0.003}, {"start": "b", "lr": 0.002})
    path = shop.write(matrix=include(*cells), training__optimizer__lr="${matrix.lr}",
                      expect=[order("b < a"), order("b < a", "every pair")])  # fmt: skip
    shop.play(path, by_start)
    page = shop.entry()
    assert [words.state(label) for _, label, _ in page.expectations] == ["can't", "can't"]
    for sign, label, text in page.expectations:
        reason = text.replace(label, "").replace(sign, "")
        assert words.has(r"pair|cells|alike|compar", reason), f"no reason: {text}"


def test_a_score_that_nobody_measured_can_not_be_judged(shop):
    path = shop.write(expect=[expects(0.9, "val/accuracy"), expects(0.3)])
    shop.play(path, Play({"loss": LOSS}))
    page = shop.entry()
    assert [words.state(label) for _, label, _ in page.expectations] == ["can't", "met"]


def test_a_part_of_the_matrix_that_was_not_run_is_no_broken_expectation(shop):
    rates = {"matrix": {"lr": [0.001, 0.002]}, "training__optimizer__lr": "${matrix.lr}"}
    path = shop.write(**rates, expect=[expects(0.3, lr=0.002), expects(0.3, lr=0.001)])
    shop.play(path, Play({"loss": LOSS}), "--set", "matrix.lr=[0.001]")
    states = [words.state(label) for _, label, _ in shop.entry().expectations]
    assert states[0] in ("can't", "not yet")
    assert states[1] == "met"


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """One expectation in each state: of two cells one is finished, one was interrupted."""
    shop = Shop(tmp_path_factory.mktemp("four"))
    expect = [expects(0.3, lr=0.001), expects(0.9, lr=0.001), expects(0.3, lr=0.002),
              expects(0.3, "val/accuracy", lr=0.001)]  # fmt: skip
    path = shop.write(matrix={"lr": [0.001, 0.002]}, training__optimizer__lr="${matrix.lr}",
                      expect=expect)  # fmt: skip
    plot = lambda axes: Play({"loss": LOSS}) if axes["lr"] == 0.001 else None  # noqa: E731
    shop.play(path, plot, code=None)
    return shop


STATES = ["met", "not met", "not yet", "can't"]


def test_four_states_have_four_signs(four):
    lines = four.entry().expectations
    assert [words.state(label) for _, label, _ in lines] == STATES
    assert len({sign for sign, *_ in lines}) == 4, lines


def test_the_markdown_tells_the_four_states_apart(four):
    part = re.split(r"## (?:Promises|Expectations)", four.markdown())[1].partition("\n## ")[0]
    listed = [x for x in part.splitlines() if x.startswith("- ")]
    assert [words.state(x.partition(":")[0] + x.partition(":")[2][:40]) for x in listed] == STATES
    assert len({x.split()[1] for x in listed}) == 4, listed


def test_the_lead_does_not_count_as_broken_what_can_not_be_judged(four):
    happened = four.entry().section("what happened")
    told = next(x for x in happened.splitlines() if words.has(r"expectation|promise", x))
    assert words.has(r"\b1 of 4\b", told)
    assert not words.has(r"\b[23] (are |were )?(not met|broken)", told)
    assert words.has(words.CANNOT, told)
