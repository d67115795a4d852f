"""The casebook as a whole: what counts as right, a fast part of it, and who may import it."""

import json
import shutil
from pathlib import Path

import pytest

from famulus import tasks
from famulus.config.errors import ConfigError
from famulus.diagnosis.history import Finding
from famulus.launch.cases import CaseOutcome, faults, files, lines, result, run_cases, totals
from famulus.store.provenance import PACKAGE, digest
from tests.launch.tiny import famulus

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "experiments/cases"
REFUSED = ("config-unknown-score", "config-unknown-setting", "config-option-without-effect",
           "codes-width", "codes-bce-unbounded")  # fmt: skip
TRAINED = ("tiles-detached", "tiles-dead-bias", "tiles-plain-healthy")


def named(*names):
    return [BOOK / f"{name}.yaml" for name in names]


def finding(cause, severity="error", under=""):
    return Finding(cause, severity, "figures", "remedy", under=under)


def test_what_is_refused_names_its_cause_and_trains_nothing():
    found = run_cases(named(*REFUSED), budget_s=0)
    assert [o.how for o in found] == ["refused"] * len(REFUSED)
    assert all(o.first and o.among for o in found)
    assert "val/accuracy" in found[0].error


def test_a_fast_part_of_the_book_is_told_right():
    found = run_cases(named(*TRAINED), budget_s=0)
    assert [o.how for o in found] == ["trained"] * len(TRAINED)
    assert [o.first for o in found[:-1]] == [True] * (len(TRAINED) - 1)
    assert found[-1].healthy
    assert found[-1].alarms == []


def test_right_is_the_first_root_in_every_cell():
    right = [finding("dead-units"), finding("predicts-the-mean", under="dead-units")]
    wrong = [finding("loss-spike"), finding("dead-units")]
    assert CaseOutcome("x", "dead-units", cells=[right]).first
    assert not CaseOutcome("x", "dead-units", cells=[right, wrong]).first
    assert CaseOutcome("x", "dead-units", cells=[right, wrong]).among
    assert not CaseOutcome("x", "dead-units", cells=[]).first
    assert not CaseOutcome("x", "dead-units", cells=[right, []]).among
    assert CaseOutcome("x", "dead-units", cells=[right]).named == ["dead-units"]


def test_a_false_alarm_is_as_grave_as_the_file_promises_there_is_none():
    found = [finding("memorises", "warning"), finding("converged", "info")]
    assert CaseOutcome("x", "none", cells=[found]).alarms == ["memorises"]
    assert CaseOutcome("x", "none", "error", cells=[found]).alarms == []
    assert CaseOutcome("x", "memorises", cells=[found]).alarms == []


def test_a_comparison_is_judged_across_its_cells():
    across = [finding("comparison-confounded", "warning")]
    assert CaseOutcome("x", "comparison-confounded", cells=[[], []], across=across).first
    assert not CaseOutcome("x", "comparison-confounded", cells=[across]).first
    assert CaseOutcome("x", "none", cells=[[]], across=across).alarms == ["comparison-confounded"]


def test_the_totals_count_each_case_once_and_name_the_code():
    book = [
        CaseOutcome("a", "dead-units", cells=[[finding("dead-units")]]),
        CaseOutcome("b", "dead-units", cells=[[finding("loss-spike")]]),
        CaseOutcome("c", "none", cells=[[finding("loss-spike")]]),
        CaseOutcome("d", "none", cells=[[]]),
    ]
    counts = totals(book)
    assert (counts["cases_right_first"], counts["cases_total"]) == (1, 2)
    assert (counts["false_alarms"], counts["healthy_total"]) == (1, 2)
    made = json.loads(json.dumps(result(book)))
    assert made["code"] == digest(PACKAGE)[:16]
    assert [c["first"] for c in made["cases"]] == [True, False, None, None]
    text = "\n".join(lines(book))
    assert "FALSE ALARM loss-spike" in text
    assert "right cause first 1 of 2" in text


def test_a_broken_case_does_not_end_the_book(tmp_path):
    good = BOOK / "config-unknown-setting.yaml"
    shutil.copy(good, tmp_path / "z-good.yaml")
    text = good.read_text(encoding="utf-8").replace("task: tiles", "task: no-such-task")
    (tmp_path / "a-bad.yaml").write_text(text, encoding="utf-8")
    found = run_cases(files([str(tmp_path)]), budget_s=0)
    assert [o.how for o in found] == ["error", "refused"]
    assert "no task is named" in found[0].error
    assert totals(found)["errors"] == 1


def test_a_file_that_expects_no_finding_is_no_case(tmp_path):
    (tmp_path / "x.yaml").write_text("why: a b c d\ntask: tiles\ntraining: {epochs: 1}\n")
    with pytest.raises(ConfigError, match="a case expects a finding"):
        run_cases(files([str(tmp_path)]), budget_s=0)


def test_names_files_and_folders_are_found_and_others_refused():
    assert files(["tiles-detached"], BOOK) == named("tiles-detached")
    assert set(named(*REFUSED, *TRAINED)) <= set(files([], BOOK))
    with pytest.raises(ConfigError, match="no case of that name"):
        files(["tiles-detachd"], BOOK)


def test_a_file_alone_never_imports_a_faulty_twin():
    with pytest.raises(ConfigError, match="no task is named 'tiles_detached'"):
        tasks.load("tiles_detached")
    assert tasks.load("tiles_detached", faults()).__name__ == "Detached"


@pytest.mark.parametrize("module", faults())
def test_every_twin_is_one_task_with_a_word_on_its_fault(module):
    kind = tasks.load(tasks.name_of(module), [module])
    assert len((__import__(module, fromlist=["x"]).__doc__ or "").split()) >= 6
    assert kind.__mro__[1].__module__ != "famulus.tasks.base"


def test_the_command_prints_a_table_and_json(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    out = tmp_path / "result.json"
    said = famulus("cases", "codes-width", "--controls-s", "0", "-o", str(out))
    assert "right cause first 1 of 1" in said.out
    assert json.loads(out.read_text())["cases_right_first"] == 1
