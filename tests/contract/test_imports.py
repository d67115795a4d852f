"""Imports point down: cli > api, lab > bridges, launch, journal > training > tasks > images,
volumes, diagnosis > feed, nets, store > schedule > config > units, moved. Packages of one level do
not know each other, nor do the wings of tasks; and nothing outside tasks names a wing, in the
package as in its tests. No modules import each other in a circle, not even for their types."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import famulus

PACKAGE = Path(famulus.__file__).parent
LEVELS = (
    *("cli", "api lab", "bridges launch journal", "training", "tasks"),
    *("images volumes diagnosis", "feed nets store", "schedule", "config", "units moved"),
)
LEVEL = {name: depth for depth, names in enumerate(LEVELS) for name in names.split()}


def imported(text, package=""):
    """Dotted names of famulus that a module's text imports, anywhere in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def upward(part, text, package=""):
    """Packages that `part` imports though they are not below it."""
    names = [n.split(".") for n in imported(text, package) if n.split(".")[0] == "famulus"]
    used = {n[1] for n in names if len(n) > 1 and n[1] in LEVEL}
    return sorted(other for other in used - {part} if LEVEL[other] <= LEVEL[part])


WINGS = {p.parent.name for p in (PACKAGE / "tasks").glob("*/__init__.py")}


def wings(own, text, package=""):
    """Wings of tasks that a module of wing `own` names, or one of none (`own` empty)."""
    names = [n.split(".") for n in imported(text, package)]
    used = {n[2] for n in names if n[0] in ("famulus", "tests") and n[1:2] == ["tasks"] and n[2:]}
    return sorted((used & WINGS) - {own})


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem in LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    inside = path.relative_to(PACKAGE).with_suffix("")
    part = inside.parts[0]
    assert part in LEVEL, f"{part} has no place in the order of packages"
    package = ".".join(["famulus", *inside.parts[:-1]])
    found = upward(part, path.read_text(encoding="utf-8"), package)
    assert not found, f"{part} imports {', '.join(found)}, which is not below it"
    own = inside.parts[1] if part == "tasks" else ""
    found = wings(own, path.read_text(encoding="utf-8"), package)
    assert not found, f"{own or part} names the wing {', '.join(found)}"


def dotted(path):
    inside = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


def graph():
    """Modules that each module imports: names are cut down to the module that they are in."""
    texts = {dotted(p): (p, p.read_text(encoding="utf-8")) for p in PACKAGE.rglob("*.py")}
    edges = {}
    for module, (path, text) in texts.items():
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        names = [n for n in imported(text, package) if n.startswith("famulus")]
        found = {n if n in texts else n.rpartition(".")[0] for n in names}
        edges[module] = (found & set(texts)) - {module, "famulus"}
    return edges


def circles(edges):
    """Sets of modules that reach each other."""
    reached = {}
    for start in edges:
        seen, todo = set(), [start]
        while todo:
            new = edges[todo.pop()] - seen
            seen |= new
            todo += new
        reached[start] = seen
    return {frozenset(b for b in reached[a] if a in reached[b]) for a in edges if a in reached[a]}


def test_no_modules_import_each_other():
    assert circles(graph()) == set()


def test_a_circle_is_seen():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {frozenset("abc")}
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == set()
    assert "famulus.config.errors" in graph()["famulus.config.yaml"]  # it is not of nothing


@pytest.mark.parametrize(
    ("part", "text", "found"),
    [
        ("store", "import famulus.training.loop", ["training"]),
        ("store", "from famulus.nets import elbo", ["nets"]),  # same level
        ("launch", "def f():\n    from famulus.journal.pages.site import write", ["journal"]),
        ("launch", "from ..journal import site", ["journal"]),
        ("launch", "from famulus import journal", ["journal"]),
        ("cli", "from famulus.launch import actions", []),
        ("tasks", "from famulus.nets import elbo\nimport torch, tasks.x", []),
        ("tasks", "from . import base", []),
    ],
)
def test_a_wrong_import_is_seen(part, text, found):  # proof that the test can fail
    assert upward(part, text, f"famulus.{part}") == found


def test_a_wing_that_names_another_is_seen():
    text = "from famulus.tasks.qsm.dipole import kernel\nfrom famulus.tasks import base"
    assert wings("tiles", text) == wings("", text) == ["qsm"]
    assert wings("qsm", text) == []


TESTS = Path(__file__).parents[1]
END_TO_END = {"contract", "launch", "faults", "old_stores"}  # their tests may name any wing


def foreign(inside, text):
    """Wings that a file of tests names though it does not stand with theirs; `inside` tests/."""
    part, *rest = Path(inside).parts
    if part in END_TO_END:
        return []
    own = rest[0] if part == "tasks" and len(rest) > 1 else ""
    return wings(own, text, ".".join(["tests", *Path(inside).parts[:-1]]))


def test_only_a_wings_own_tests_import_it():
    files = {p.relative_to(TESTS).as_posix(): p for p in sorted(TESTS.rglob("*.py"))}
    assert len(files) > 100
    found = {name: foreign(name, path.read_text(encoding="utf-8")) for name, path in files.items()}
    assert {name: named for name, named in found.items() if named} == {}


@pytest.mark.parametrize(
    ("inside", "text", "found"),
    [
        ("images/test_open.py", "from famulus.tasks.codes.data import CodedData", ["codes"]),
        ("test_cli.py", "def f():\n    import famulus.tasks.qsm.dipole", ["qsm"]),
        ("tasks/test_base.py", "from famulus.tasks import tiles, base", ["tiles"]),
        ("tasks/qsm/test_dipole.py", "from famulus.tasks.scroll import seams", ["scroll"]),
        ("tasks/qsm/test_dipole.py", "from tests.tasks.scroll.test_seams import x", ["scroll"]),
        ("tasks/qsm/test_dipole.py", "from ..scroll.test_seams import x", ["scroll"]),
        ("tasks/qsm/test_dipole.py", "from famulus.tasks.qsm import ndi\nimport torch", []),
        ("tasks/qsm/test_dipole.py", "from famulus.tasks import base", []),
        ("launch/test_cells.py", "from famulus.tasks.tiles.tiles import Tiles", []),
        ("images/test_open.py", "from famulus import tasks\nfrom tests.launch import tiny", []),
    ],
)
def test_a_wing_in_foreign_tests_is_seen(inside, text, found):  # proof that the test can fail
    assert foreign(inside, text) == found


LIGHT = [
    "famulus",
    "famulus.api",
    "famulus.lab.lab",
    "famulus.cli",
    "famulus.config.experiment",
    "famulus.store.store",
    "famulus.store.index",
]
LIGHT += [
    "famulus.config.jsonschema",
    "famulus.journal.pages.site",
    "famulus.journal.pages.compare",
]
SAYS = "import sys; {}; print(*[m for m in ('torch', 'sklearn', 'scipy') if m in sys.modules])"


def loaded_by(code):
    words = [sys.executable, "-c", SAYS.format(code)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def test_what_answers_at_once_does_not_load_torch():
    assert loaded_by("import " + ", ".join(LIGHT)) == []


def test_a_heavy_import_is_seen():
    assert loaded_by("sys.modules['torch'] = None") == ["torch"]


def test_commands_that_need_no_net_do_not_load_torch(tmp_path):
    code = (
        "from typer.testing import CliRunner; from famulus.cli import app;"
        "done = [CliRunner().invoke(app, a) for a in"
        f" (['--help'], ['run', '--help'], ['status', '--store', {str(tmp_path)!r}],"
        f" ['compare', 'none', '--store', {str(tmp_path)!r}])];"
        "assert not any(d.exit_code for d in done[:3])"
    )
    assert loaded_by(code) == []
