"""Findings over runs: the strongest run's words, the gravest cause first, its effects below it."""

from famulus.journal.facts.findings import findings_of
from tests.journal.runs import record


def finding(cause, severity, under="", evidence=""):
    return {"cause": cause, "severity": severity, "under": under, "evidence": evidence}


def test_a_cause_follows_the_one_that_explains_it():
    first = record(
        findings=(
            finding("slow", "info"),
            finding("rate", "error"),
            finding("flat", "warning", "rate"),
        )
    )
    second = record(replicate=2, findings=(finding("dead", "error", "absent"),))
    found = findings_of([first, second])
    assert [f.cause for f in found] == ["rate", "flat", "dead", "slow"]


def test_the_strongest_run_speaks_for_all_and_the_newest_word_of_a_run_counts():
    weak = record(
        findings=(finding("rate", "error", "", "old"), finding("rate", "info", "", "new"))
    )
    strong = record(replicate=2, findings=(finding("rate", "warning", "", "worse"),))
    (found,) = findings_of([weak, strong])
    assert (found.severity, found.evidence, found.runs) == ("warning", "worse", (weak, strong))
    assert findings_of([record(findings=({"cause": "odd", "severity": 7},))])[0].severity == "7"
