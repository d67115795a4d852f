"""What pages and experiments cite exists: tests by name, files, modules of the package."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from famulus.moved import GONE, moves

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("experiments/**/*.yaml")]
TEST = re.compile(r"\b(tests/[\w/]+\.py)(?:::(\w+)(?:::(\w+))?)?")
FILE = re.compile(r"(?<![\w/.-])(?:src/famulus/)?((?:[a-z]+/)+\w+\.py)\b")
PACKAGES = sorted(p.parent.name for p in (ROOT / "src/famulus").glob("*/__init__.py"))
SPELLED = "|".join(name for name in PACKAGES if name != "training")  # a section of a file, too
MODULE = re.compile(rf"(?:`(?:famulus\.)?(?=(?:{SPELLED})\.)|`famulus\.)(\w+(?:\.\w+)+)")


def missing(text):
    """Of a text, what it cites and nobody finds."""
    found = []
    for path, *names in TEST.findall(text):
        if not (ROOT / path).exists():
            found.append(path)
            continue
        own = (ROOT / path).read_text(encoding="utf-8")
        found += [f"{path}::{n}" for n in names if n and not re.search(rf"(def|class) {n}\b", own)]
    places = (ROOT, ROOT / "src/famulus")
    for path in FILE.findall(text):
        if not any((place / path).exists() for place in places):
            found.append(path)
    for dotted in MODULE.findall(text):
        if not _is_module(dotted):
            found.append(dotted)
    return sorted(set(found))


def _is_module(dotted):
    """Is it a module, or something in one, as a class and its method?"""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        spec = _spec(".".join(parts[:count]))
        if spec is None:
            continue
        if count == len(parts):
            return True
        here = None if spec.submodule_search_locations else import_module(spec.name)
        for name in parts[count:]:
            here = getattr(here, name, None)
        return here is not None
    return False


def _spec(dotted):
    try:
        return find_spec(f"famulus.{dotted}")
    except ModuleNotFoundError:
        return None


@pytest.mark.parametrize(
    "page",
    [p for p in PAGES if p.name != "CHANGELOG.md"],
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)
def test_what_a_page_cites_exists(page):
    found = missing(page.read_text(encoding="utf-8"))
    assert not found, f"{page.name} cites {', '.join(found)}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("`tests/test_citations.py::test_what_a_page_cites_exists`", []),
        ("`tests/test_citations.py::test_nothing`", ["tests/test_citations.py::test_nothing"]),
        ("`tests/ops/test_elbo.py`", ["tests/ops/test_elbo.py"]),
        ("the law is in diagnosis/foresight/forecast.py", []),
        ("the law is in diagnosis/forecast.py", ["diagnosis/forecast.py"]),
        ("`tasks.scroll.papyrus` makes it", []),
        ("`famulus.store.store.Store.find`", []),
        ("`famulus.api.Score` is the face's", []),
        ("`diagnosis.forecast` has it", ["diagnosis.forecast"]),
        ("`tasks.scroll.nothing`", ["tasks.scroll.nothing"]),
        ("`famulus.tasks.qsm.dipol.kernel`", ["tasks.qsm.dipol.kernel"]),
        ("`famulus.store.store.Store.never`", ["store.store.Store.never"]),
    ],
)
def test_a_wrong_citation_is_seen(text, found):
    assert missing(text) == found


def test_no_page_speaks_of_a_module_by_its_old_place():
    old = [f"famulus.{m}" for m in moves() if m.split(".")[0] in GONE]
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, old))})\b")
    said = {p.name: pattern.findall(p.read_text(encoding="utf-8")) for p in PAGES}
    said.pop("CHANGELOG.md")  # which tells of the move, as it may
    assert not {name: found for name, found in said.items() if found}
    assert pattern.findall("`famulus.data.images` opens them") == ["famulus.data.images"]
