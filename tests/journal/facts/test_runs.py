"""The runs of an experiment beside its plan: versions of the file, repetitions, expectations."""

from famulus.journal.facts.changes import as_written
from famulus.journal.facts.entry import collect
from famulus.journal.facts.headline import sentences
from famulus.store.claims import claim
from tests.journal import conftest as lab

AXES = lab.cells()[0]
SLUG = lab.slug(AXES)
OLD = {"score": "val/loss", "where": {}, "value": 0.03, "within": "10%"}
NEW = OLD | {"value": 0.2}


def trained(store, key, value=0.04, minute=5.0, **changed):
    """A finished run of the first cell with an id of its own."""
    run = store.create_run("e", SLUG, lab.run_id(key), {**lab.config(AXES), **changed})
    attempt = claim(run)
    attempt.record_lineage(lab.lineage())
    lab.began(attempt, minute)
    lab.finish(attempt, AXES, value, minute + 4)
    return run


def said(store):
    return "\n".join("".join(s) for s in sentences(collect(store, "e")))


def test_a_repetition_is_no_version_of_the_file(empty):
    empty.plan("e", lab.TEXT, {SLUG: {"id": lab.run_id("a")}})
    run = trained(empty, "a")
    origin = {"run": run.id, "step": None, "kind": "rerun", "n": 1}
    trained(empty, "again", minute=15, origin=origin)
    entry = collect(empty, "e")
    assert [r.id for r in entry.runs.records] == [run.id]
    assert (entry.history.since, entry.history.changes) == ("", ())
    assert "1 repetition came to the same validation loss, digit for digit" in said(empty)
    assert "Against the last version" not in said(empty)
    # a counterpart: other settings are another version, and no key of the store's is among them
    other = lab.config(AXES)["loss"] | {"kl_weight": 0.5}
    trained(empty, "before", minute=1, loss=other, origin=origin | {"kind": "resume"})
    assert collect(empty, "e").history.changes == ("loss.kl_weight: 0.5 → 1",)


def test_a_repetition_that_differs_says_by_how_much(empty):
    empty.plan("e", lab.TEXT, {SLUG: {"id": lab.run_id("a")}})
    origin = {"run": trained(empty, "a").id, "step": None, "kind": "rerun", "n": 1}
    trained(empty, "again", value=0.05, minute=15, origin=origin)
    assert "1 repetition: validation loss differs by up to 20 %" in said(empty)


def test_what_the_store_resolved_is_shown_as_a_person_writes_it():
    reference = {"run": "0123456789ab", "step": 120, "sha256": "f" * 64}
    config = {"codes": reference, "origin": {"run": "x"}, "model": {"run": 1}}
    assert as_written(config) == {"codes": "0123456789ab@120", "model": {"run": 1}}


def test_one_text_is_judged_and_printed_and_it_is_dated(empty):
    """The file was edited after its result: the new text is a band, the old one stays."""
    cells = {SLUG: {"id": lab.run_id("a")}}
    empty.plan("e", lab.TEXT, cells, [OLD])
    trained(empty, "a", expect=[OLD])
    (kept,) = collect(empty, "e").expectations
    assert (kept.state, kept.written, kept.withdrawn) == ("not met", "before", "")
    empty.plan("e", lab.TEXT, cells, [NEW])
    band, withdrawn = collect(empty, "e").expectations
    assert ("0.2" in band.says, band.written, band.withdrawn) == (True, "after", "")
    assert ("0.03" in withdrawn.says, withdrawn.written) == (True, "before")
    assert withdrawn.withdrawn == band.date
    assert "0 of 1 expectation" in said(empty)
    assert "1 of them was written after the result" in said(empty)


def test_of_a_store_that_dated_nothing_the_runs_know_what_was_expected(empty):
    empty.plan("e", lab.TEXT, {SLUG: {"id": lab.run_id("a")}})
    trained(empty, "a", expect=[OLD])
    (judged,) = collect(empty, "e").expectations
    assert (judged.written, judged.date) == ("before", "")


def test_what_was_set_beside_the_file_is_on_record(empty):
    empty.plan("e", lab.TEXT, {SLUG: {"id": lab.run_id("a")}}, [], ["matrix.lr=[0.001]"])
    trained(empty, "a")
    assert collect(empty, "e").runs.overrides == ("matrix.lr=[0.001]",)
