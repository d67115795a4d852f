"""The page of one run: how it ended, what it took, what was noticed in its data."""

import re

import pytest

from famulus.journal.facts.entry import collect
from famulus.journal.pages.index_page import index_page
from famulus.journal.pages.markdown import entry_markdown
from famulus.journal.pages.parts import elapsed, entry_margin
from famulus.journal.pages.run_page import run_page
from famulus.store import layout, records
from famulus.store.claims import claim
from tests.journal import conftest as lab
from tests.journal.runs import record

AXES = lab.cells()[0]


def attempt_of(store, name="e", **settings):
    """An attempt that began at 10:00:00, with a log and a validation at 7.2 s."""
    run = store.create_run(name, "cell", lab.run_id(name, *settings), lab.config(AXES) | settings)
    attempt = claim(run)
    stamp(attempt, layout.attempt(run.path, attempt.n), "10:00:00")
    at = {"step": 5, "inputs": 320, "s": 7.2}
    attempt.emit({"kind": "train", **at, "lr": 0.1, "rate": 44.0, "values": {"total": 0.5}})
    attempt.emit({"kind": "val", **at, "values": {"loss": 0.5}})
    return attempt


def stamp(attempt, path, clock):
    files = attempt.run.files
    time = f"2026-11-20T{clock}.000+00:00"
    files.write(path, records.encode({**records.read(files, path), "time": time}))


def page(store, name="e"):
    entry = collect(store, name)
    (one,) = entry.runs.records
    return one, words_of(run_page(entry, one)[0])


def words_of(text):
    """What a reader sees of a page: no style, script or data."""
    body = re.sub(r"<script.*?</script>", " ", text[text.index("<main") :], flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_a_run_that_an_error_ended_without_totals(empty):
    attempt = attempt_of(empty)
    attempt.end("error")
    stamp(attempt, layout.ended(attempt.run.path, 1), "10:00:17")
    one, text = page(empty)
    assert one.status == "failed"
    assert one.seconds == pytest.approx(17.0)  # to the error, not to the last log
    assert "17 s" in text
    assert "7.2 s" not in text
    assert "failed 2026-11-20 10:00" in text
    assert "an error of which the store has no text" in text
    assert "attempt 1, ended by an error 2026-11-20 10:00" in text
    assert "so far" not in text
    assert "forecast" not in text
    assert collect(empty, "e").history.date == "2026-11-20"


def test_an_exception_is_told_with_its_type_and_line(empty):
    attempt_of(empty).finish(
        {"status": "failed", "reason": "expected 32 targets, received 31", "step": 5,
         "inputs": 320, "seconds": 17.2, "scores": {}, "time": "2026-11-20T10:00:17.000+00:00",
         "error": {"type": "ValueError", "at": "tiles.py:45 in loss"}}
    )  # fmt: skip
    one, text = page(empty)
    words = "ValueError: expected 32 targets, received 31 (at tiles.py:45 in loss)"
    assert one.reason == words
    assert words in text
    assert "17.2 s" in text
    assert "attempt 1, failed" in text
    assert "ended: finished" not in text


@pytest.mark.parametrize(
    ("done", "attempts", "reason"),
    [
        ({"reason": "ValueError: x", "error": {"type": "ValueError", "at": "a.py:1 in f"}}, (),
         "ValueError: x (at a.py:1 in f)"),
        ({"reason": "NaN in recon"}, (), "NaN in recon"),
        ({}, ({"ended": "interrupted", "ended_time": "2026-11-20T10:00:17"},), ""),
        ({}, ({"ended": "error", "why": "no space"},), "no space"),
        ({}, (), ""),
    ],
)  # fmt: skip
def test_the_reason_is_that_of_the_totals_else_of_the_attempt(done, attempts, reason):
    assert record({}, done=done, attempts=attempts).reason == reason


def test_copies_across_the_split_come_before_the_scores(empty):
    attempt = attempt_of(empty)
    copies = "validation: of 185 pictures, 49 are also in training and 3 nearly so"
    notes = ["2 files could not be read", copies]
    attempt.emit({"kind": "facts", "data_notes": notes})
    attempt.end("interrupted")
    _, text = page(empty)
    places = [text.index(words) for words in (copies, notes[0], "Scores", "Settings")]
    assert places == sorted(places)
    assert text.count(copies) == 1


def test_copies_are_known_by_what_was_recorded_whatever_the_words(empty):
    attempt = attempt_of(empty)
    notes = ["2 files could not be read", "one picture twice"]
    attempt.emit({"kind": "facts", "data_notes": notes, "leaks": [], "copies": notes[1:]})
    attempt.end("interrupted")
    _, text = page(empty)
    assert text.index(notes[1]) < text.index(notes[0])
    assert text.count(notes[1]) == 1


def test_a_fork_tells_its_own_time_and_that_of_its_curve():
    fork = record({}, done={"seconds": 900.0}, facts={"inherited": {"seconds": 600.0}})
    assert elapsed(fork) == "5.0 min of its own, 15 min with its parent's"
    assert elapsed(record({}, done={"seconds": 900.0})) == "15 min"
    assert elapsed(record({})) == ""


def test_a_monitored_loop_has_no_file(empty):
    attempt_of(empty, "mine", task="own-loop").end("interrupted")
    empty.plan("other", "task: tiles\n", {})
    attempt_of(empty, "other").end("interrupted")
    mine, other = collect(empty, "mine"), collect(empty, "other")
    for text in (entry_markdown(mine, False), index_page([mine, other], {})):
        assert "mine.yaml" not in text
        assert "mine, a monitored training loop" in text
    assert "other.yaml" in entry_markdown(other, False)
    assert not [line for line in entry_margin(mine) if "own-loop" in line]


def test_the_index_is_newest_first_within_a_day(empty):
    for name, clock in (("early", "08:15:00"), ("late", "21:40:00"), ("noon", "12:00:00")):
        attempt = attempt_of(empty, name, why=f"why {name}")
        time = f"2026-11-20T{clock}.000+00:00"
        attempt.finish({"status": "finished", "scores": {"val/loss": 0.5}, "time": time})
    entries = [collect(empty, n) for n in ("late", "early", "noon")]
    notes = {"2026-11-20": "note of the day", "2026-11-21": "note after", "2026-11-19": "before"}
    text = words_of(index_page(entries, notes))
    words = ["note after", "note of the day", "why late", "why noon", "why early", "before"]
    places = [text.index(w) for w in words]
    assert places == sorted(places)
    assert text == words_of(index_page(entries[::-1], dict(reversed(notes.items()))))
