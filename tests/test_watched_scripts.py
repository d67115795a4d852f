"""The twelve scripts of `benchmarks/scripts`, the eight held out, and the fault of each."""

import ast

import pytest
from benchmarks.watched_scripts import FOLDER, HELD_OUT, faults, figures, row

from famulus.diagnosis.verdict import causes

SIZES = {FOLDER: 12, HELD_OUT: 8}
FAULTS = {fault.script: fault for folder in SIZES for fault in faults(folder)}


def imports(tree: ast.AST) -> set[str]:
    modules = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    plain = [n for n in ast.walk(tree) if isinstance(n, ast.Import)]
    return modules | {alias.name for n in plain for alias in n.names}


@pytest.mark.parametrize("folder", SIZES, ids=lambda folder: folder.name)
def test_every_script_has_one_fault(folder):
    scripts = sorted(path.stem for path in folder.glob("*.py"))
    assert scripts == sorted(fault.script for fault in faults(folder))
    assert len(scripts) == SIZES[folder]


def test_names_and_changed_lines_are_of_one_script_alone():
    assert len(FAULTS) == sum(SIZES.values()), "a name stands in both folders"
    changes = [(fault.before, fault.after) for fault in FAULTS.values()]
    assert len(set(changes)) == len(changes), "a held-out fault is one that rules were fitted to"


def test_faults_are_those_of_their_folder():
    assert faults() == faults(FOLDER)
    for folder in SIZES:
        assert {fault.path.parent for fault in faults(folder)} == {folder}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_stands_once_and_is_python(name):
    fault = FAULTS[name]
    text = fault.path.read_text(encoding="utf-8")
    sound, faulty = ast.parse(text), ast.parse(fault.planted(text))
    assert ast.dump(sound) != ast.dump(faulty), "only a comment differs"
    compile(sound, name, "exec")
    compile(faulty, name, "exec")
    for broken in (text.replace(fault.before, ""), text + fault.before):
        with pytest.raises(ValueError, match="once"):
            fault.planted(broken)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_causes_that_exist(name):
    fault = FAULTS[name]
    assert fault.causes
    assert set(fault.causes) <= causes().keys()
    assert fault.why
    assert fault.seen


@pytest.mark.parametrize("name", FAULTS)
def test_a_script_knows_nothing_of_famulus(name):
    text = FAULTS[name].path.read_text(encoding="utf-8")
    assert not {module.split(".")[0] for module in imports(ast.parse(text))} & {"famulus"}
    assert "famulus" not in text.lower()


def findings(*pairs):
    return [{"cause": cause, "severity": severity} for cause, severity in pairs]


def report(*runs):
    return {"exit_code": 0, "runs": [{"findings": findings(*run)} for run in runs]}


def test_the_first_run_with_a_grave_finding_counts():
    fault = FAULTS["vae_digits"]
    silent = report([("converged", "info")])
    right = report(
        [("converged", "info")],
        [("posterior-collapse", "error"), ("plateau", "info")],
        [("rate-too-high", "error")],
    )
    verdict = row(fault, silent, right, 3.0)
    assert verdict["first"]
    assert verdict["among"]
    assert verdict["named"] == "posterior-collapse"
    assert verdict["accused"] == []

    second = report([("rate-too-high", "warning"), ("posterior-collapse", "error")])
    verdict = row(fault, second, second, 3.0)
    assert not verdict["first"]
    assert verdict["among"]
    assert verdict["named"] == "rate-too-high"
    assert verdict["accused"] == ["rate-too-high", "posterior-collapse"]

    verdict = row(fault, silent, silent, 3.0)
    assert not verdict["first"]
    assert not verdict["among"]
    assert verdict["named"] == ""


def test_an_info_that_is_right_does_not_name_the_cause():
    fault = FAULTS["vae_digits"]
    hint = report([("posterior-collapse", "info")])
    verdict = row(fault, hint, hint, 1.0)
    assert (verdict["first"], verdict["among"], verdict["accused"]) == (False, False, [])


def test_figures_count_rows():
    rows = [
        {"first": True, "accused": []},
        {"first": False, "accused": ["plateau", "memorises"]},
        {"first": True, "accused": ["plateau"]},
    ]
    expected = {"scripts_right_first": 2, "scripts_total": 3, "sound_accused": 2}
    assert figures(rows) == expected


def test_figures_count_held_out_rows_apart():
    rows = [{"first": True, "accused": []}, {"first": True, "accused": ["plateau"]}]
    held_out = [
        {"first": False, "accused": ["plateau", "memorises"]},
        {"first": False, "accused": ["plateau"]},
        {"first": True, "accused": []},
    ]
    expected = {"held_out_right_first": 1, "held_out_total": 3, "held_out_accused": 2}
    assert figures(rows, held_out) == figures(rows) | expected
