"""The notebook of docs/: its code cells run, one after the other, and show what they say."""

import ast
import json
from pathlib import Path

import famulus

NOTEBOOK = Path(__file__).parents[2] / "docs/library.ipynb"


def cells(kind):
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [c for c in notebook["cells"] if c["cell_type"] == kind]


def executed(source, names):
    """The value of a cell's last line, where that is an expression: what a notebook shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NOTEBOOK.name, "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)


def test_the_notebook_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FAMULUS_DATA", str(tmp_path / "data"))  # it needs no data of anybody's
    names = {"__name__": "__main__"}
    shown = [executed("".join(cell["source"]), names) for cell in cells("code")]
    assert "training.bach: unknown key, did you mean 'batch'?" in capsys.readouterr().out
    table = names["table"]
    assert (table["best val/l1"] < table["baseline val/l1: best constant"]).all()
    assert table["best val/l1"].idxmin() == 1  # the larger code, as expected
    assert names["model"].scores["val/l1"] == table["best val/l1"][1]
    for value in shown:
        assert value is None or value._repr_html_()
    assert names["drawn"].shape == (4, 1, 8, 8)


def test_it_is_committed_without_outputs():
    for cell in cells("code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_the_face_of_the_package_is_documented():
    page = (NOTEBOOK.parent / "library.md").read_text(encoding="utf-8")
    for name in ("load", "Lab", "experiment"):
        assert f"famulus.{name}" in page
    methods = [n for n in vars(famulus.Lab) if not n.startswith("_")]
    assert [n for n in methods if f"`{n}`" not in page and f"lab.{n}" not in page] == []
