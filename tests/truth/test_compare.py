"""Rows that can be told apart, and errors and checks that say one thing, about the right thing."""

import re

import pytest

from famulus.launch import check
from tests.truth import words
from tests.truth.shop import Play, Shop

MEASURED = ("val/", "best val/", "meter", "bar", "minutes", "time", "inputs/s", "samples/s",
            "memory", "run", "Wh", "watts", "status")  # fmt: skip


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    """One file without a matrix, run three times with other settings."""
    shop = Shop(tmp_path_factory.mktemp("variants"))
    path = shop.write()
    for rate, batch in ((0.001, 32), (0.003, 32), (0.003, 16)):
        more = ("--set", f"training.optimizer.lr={rate}", "--set", f"training.batch={batch}")
        shop.play(path, Play({"loss": 0.3}), *more)
    return shop, [run.id for run in shop.runs()]


def told(row: dict) -> tuple:
    """What a row says of its settings: all but measured columns and the run's id."""
    return tuple(str(v) for k, v in row.items() if not k.startswith(MEASURED))


def test_rows_of_overridden_runs_differ_in_what_they_say(variants):
    shop, ids = variants
    rows = shop.compare(*ids)["rows"]
    assert len(rows) == 3
    assert len({told(row) for row in rows}) == 3, [told(row) for row in rows]


def test_each_row_shows_the_value_that_was_set(variants):
    shop, ids = variants
    rows = {row["run"]: row for row in shop.compare(*ids, "-i", "run")["rows"]}
    for run in ids:
        config = shop.store.find(run).config()["training"]
        for value in (config["optimizer"]["lr"], config["batch"]):
            assert str(value) in told(rows[run]), (value, rows[run])


def test_the_text_shows_it_on_the_same_line(variants):
    shop, ids = variants
    lines = shop.do("compare", *ids).out.splitlines()
    rates = {run: shop.store.find(run).config()["training"]["optimizer"]["lr"] for run in ids}
    for run, rate in rates.items():
        line = next(x for x in lines if re.search(rf"\b{run[:6]}", x))
        assert re.search(rf"(?<![\d.]){rate}(?!\d)", line), line


def test_runs_of_a_matrix_and_an_override_show_both(shop):
    rates = {"matrix": {"lr": [0.001, 0.002]}, "training__optimizer__lr": "${matrix.lr}"}
    path = shop.write(**rates)
    shop.play(path, Play({"loss": 0.3}))
    shop.play(path, Play({"loss": 0.3}), "--set", "model.code=4")
    rows = shop.compare(*(run.id for run in shop.runs()))["rows"]
    assert len({told(row) for row in rows}) == 4


# -- errors name the override that caused them -----------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "guilty"),
    [
        (["training.batch=16", "training.epochs=3"], "training.epochs=3"),
        (["training.epochs=3", "training.batch=16"], "training.epochs=3"),
        (["training.threads=1", "training.batch=16", "training.epochs=3"], "training.epochs=3"),
        (["loss.kl_weight=0.1", "loss.scale=2.0"], "loss.scale=2.0"),
        (["training.batch=16", "training.optimizer.lr=-1"], "training.optimizer.lr=-1"),
    ],
)
def test_an_error_of_a_section_names_the_override_that_caused_it(shop, overrides, guilty):
    path = shop.write()
    words_ = [word for override in overrides for word in ("--set", override)]
    said = shop.do("run", path, *words_, code=2)
    assert guilty in said.err, said.err
    for innocent in set(overrides) - {guilty}:
        assert innocent not in said.err, said.err


# -- a check answers each question once ------------------------------------------------------------

COUNT = r"(\d[\d,]*|none|no)( more)? (are |is )?(nearly|near)"


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Checks of pictures of which one in validation is nearly one in training."""
    import numpy as np
    from PIL import Image

    shop = Shop(tmp_path_factory.mktemp("checked"))
    folder = shop.folder / "pictures"
    folder.mkdir()
    drawn = np.random.default_rng(5).integers(8, 248, (40, 4, 4)).repeat(2, 1).repeat(2, 2)
    # a checkerboard has no part in blocks of 2 x 2: of 6 grey levels it leaves a correlation of
    # 1 / sqrt(1 + 36 / variance), which is near enough for one answer and not for the other
    assert 0.9955 < (1 + 36 / drawn[0].var()) ** -0.5 < 0.9968
    drawn[39] = drawn[0] + 12 * (np.indices((8, 8)).sum(0) % 2) - 6
    for n, picture in enumerate(drawn):
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{n:02d}.png")
    path = shop.write(data={"name": str(folder), "validation": 0.25, "size": 8})
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # the others train for seconds, and ask other things
        patch.setattr(check, "CHECKS", [c for c in check.CHECKS if c.name == "duplicates"])
        return shop.do("check", path, "--json", "--budget", "30", code=None).json()


def test_a_check_does_not_answer_one_question_twice(checked):
    answers = [c["text"] for c in checked if words.has(r"near(ly)?\b.*|cop(y|ies)", c["text"])
               and words.has(r"validation|split", c["text"])]  # fmt: skip
    assert len(answers) <= 1, answers


def test_no_two_counts_of_near_copies_differ(checked):
    counts = set()
    for control in checked:
        counts |= {m[1] for m in re.finditer(COUNT, control["text"], re.I)}
    assert len(counts) <= 1, counts
