"""The pages as files: structure, size, escaping, policy, and the same bytes every time."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from famulus.config.errors import StoreError
from famulus.journal.facts import names
from famulus.journal.pages.html import json_block, notes_html
from famulus.journal.pages.site import write
from famulus.store.claims import claim
from famulus.store.store import Store
from tests.journal import conftest as lab

NAME = "tiles/compare-datasets"
VOID = {"meta", "link", "img", "input", "br", "hr", "path", "rect", "circle"}
IMPLIED = {"th", "option", "li", "html", "body"}  # whose end tag may be left out


class Page(HTMLParser):
    """Tags, ids, links and scripts of a page; `wrong` lists end tags that don't fit."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.open, self.wrong = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in IMPLIED:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def all(self, tag, attribute=None):
        return [a for t, a in self.tags if t == tag and (attribute is None or attribute in a)]


@pytest.fixture(scope="module")
def folder(laboratory, tmp_path_factory):
    out = tmp_path_factory.mktemp("journal")
    write(laboratory, out=out)
    return out


@pytest.fixture(scope="module")
def text(folder):
    return (folder / NAME / "index.html").read_text()


def test_every_page_is_well_formed(folder):
    pages = sorted(folder.rglob("*.html"))
    assert len(pages) == 1 + 1 + 75
    for path in [*pages[:4], *pages[-3:]]:
        assert Page(path.read_text()).wrong == [], path


def test_a_page_of_36_cells_stays_small(folder, text):
    assert len(text.encode()) < 1_500_000
    without_pictures = re.sub(r"data:image/png;base64,[^\"]+", "", text)
    assert len(without_pictures.encode()) < 600_000
    assert (folder / "index.html").stat().st_size < 300_000


def test_nothing_is_loaded_from_elsewhere(text):
    page = Page(text)
    for tag, attributes in page.tags:
        for name in ("src", "href", "data", "action", "poster"):
            assert not re.match(r"(?i)\s*(https?:|//|javascript:)", attributes.get(name) or ""), tag
        assert "style" not in attributes
        assert not [a for a in attributes if a.startswith("on")]
    assert not page.all("script", "src")
    assert "eval(" not in text


def test_the_policy_names_our_style_and_script_and_no_other(text):
    policy = Page(text).all("meta", "http-equiv")[0]["content"]
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_holds_all_rows_curves_and_the_keyboard_can_reach_them(text):
    page = Page(text)
    assert len(page.all("tr", "data-g")) == 37
    plots = [a for a in page.all("svg") if a.get("class") == "plot"]
    assert len(plots) == 9
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in plots)
    assert all(a["alt"] for a in page.all("img"))
    data = json.loads(re.search(r'class="data">(.*?)</script>', text, re.S)[1])
    assert len(data["series"]) == 2 * 73
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_links_lead_to_files(folder):
    for path in (folder / "index.html", folder / NAME / "index.html"):
        for attributes in Page(path.read_text()).all("a", "href"):
            target = attributes["href"].split("#")[0]
            assert not target or (path.parent / target).exists(), target


def test_run_pages_show_pictures_of_all_steps_newest_first(folder):
    page = next((folder / NAME / "runs").glob(f"*{lab.run_id(lab.cells()[0], 0)}.html")).read_text()
    steps = [int(s.replace(",", "")) for s in re.findall(r"<h3>step ([\d,]+)", page)]
    assert steps == [15_625, 7_812]
    assert "famulus run experiments/tiles/compare-datasets.yaml" in page
    assert "torch 2.13.0" in page


def test_the_markdown_twin_has_the_table_and_links_its_pictures(folder):
    text = (folder / NAME / "index.md").read_text()
    assert text.startswith(f"# {lab.WHY}")
    assert len(re.findall(r"^\| (mnist|fashion-mnist|crawl-tiles) ", text, re.M)) == 37
    for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (folder / NAME / target).exists()
    assert "17 of 17" in text


def test_the_same_store_gives_the_same_bytes(laboratory, folder, tmp_path):
    write(laboratory, out=tmp_path)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path


def test_unchanged_files_are_left_alone_and_nothing_half_written_stays(empty, tmp_path):
    run = empty.create_run("e", "a", lab.run_id(1), lab.config(lab.cells()[0]))
    first = write(empty)
    assert first[0].is_relative_to(empty.local / "journal")
    before = {p: p.stat().st_mtime_ns for p in first}
    run.write_notes("new")
    write(empty)
    changed = {p.name for p, t in before.items() if p.stat().st_mtime_ns != t}
    assert {"index.html", "index.md"} <= changed
    assert "results.csv" not in changed
    assert not list((empty.local / "journal").rglob(".*"))
    assert empty.experiments() == ["e"]  # pages are never mistaken for runs


def test_a_remote_store_needs_a_folder(laboratory):
    with pytest.raises(StoreError, match="expected a folder for the pages"):
        write(laboratory)
    with pytest.raises(StoreError, match="received 'nothing'"):
        write(laboratory, "nothing", out="/nowhere")


def test_an_empty_store_has_a_page(empty):
    (path,) = write(empty)
    assert "Nothing has been run yet" in path.read_text()


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'${{7*7}}"


def hostile(store: Store) -> None:
    """Everything that a person or a program can write holds markup."""
    settings = lab.config({**lab.cells()[0], "set": "mnist"})
    settings |= {"why": HOSTILE, "task": HOSTILE, "matrix": {"a": HOSTILE, HOSTILE: 1}}
    other = settings | {"matrix": {"a": "</style></title>", HOSTILE: 2}}
    store.plan("x/y", HOSTILE, {"a": {"id": lab.run_id(1)}, "b": {"id": lab.run_id(2)}})
    for slug, n, one in (("a", 1, settings), ("b", 2, other)):
        run = store.create_run("x/y", slug, lab.run_id(n), one)
        attempt = claim(run)
        attempt.record_lineage(lab.lineage() | {"command": HOSTILE, "machine": {HOSTILE: HOSTILE}})
        at = {"step": 5, "inputs": 320, "s": 1.0}
        attempt.emit({"kind": "val", **at, "values": {"loss": 0.5, f"x{HOSTILE}": 1.0}})
        attempt.emit({"kind": "mark", **at, "what": HOSTILE, "text": HOSTILE})
        attempt.emit({"kind": "floor", "score": "loss", "value": 0.7, "means": HOSTILE})
        attempt.emit({"kind": "facts", "device": HOSTILE, "parameters": HOSTILE})
        finding = {"cause": HOSTILE, "severity": HOSTILE, "evidence": HOSTILE, "remedy": HOSTILE}
        attempt.emit({"kind": "finding", "step": 5, **finding})
        file = attempt.save_picture("p", lab.picture(lab.cells()[0], 1, 2))
        shown = {"name": HOSTILE, "file": file, "labels": [HOSTILE], "caption": HOSTILE}
        attempt.emit({"kind": "picture", **at, **shown})
        evil = {"name": "up", "file": "pictures/../../../famulus.json", "labels": []}
        attempt.emit({"kind": "picture", **at, **evil})
        attempt.finish(
            {"status": "failed", "reason": HOSTILE, "step": 5, "scores": {"val/loss": 1}}
        )
        run.write_notes(f"{HOSTILE}\n\n[x](javascript:alert(3)) ![y](http://tracker/p.png)")
    store.files.write("lab/2026-01-01.md", HOSTILE.encode())
    store.files.write("lab/todo.md", HOSTILE.encode())


def test_markup_in_any_field_stays_text(empty):
    hostile(empty)
    for path in write(empty):
        if path.suffix != ".html":
            continue
        text = path.read_text()
        page = Page(text)
        assert page.wrong == [], path
        scripts = page.all("script")
        assert len(scripts) <= 2
        assert all(a in ({}, {"type": "application/json", "class": "data"}) for a in scripts)
        sources = [a["src"] for a in page.all("img")]
        assert all(s.startswith(("data:image/png", "http://tracker")) for s in sources)
        assert not [a for _, a in page.tags for k in a if k.startswith("on")]
        assert not [a for a in page.all("a") if "javascript" in (a.get("href") or "")]
        assert "49" not in re.findall(r"\$\{\{(.*?)\}\}", text)
        for block in re.findall(r'class="data">(.*?)</script>', text, re.S):
            json.loads(block)


def test_unescaped_markup_would_be_seen():  # proof that the test can fail
    assert Page(f"<p>{HOSTILE}</p>").all("script")


def test_notes_are_markdown_without_html():
    shown = notes_html("# Big\n\n**so** <b>not</b>\n\n| a |\n|---|\n| 1 |")
    assert "<h3>Big</h3>" in shown
    assert "<strong>so</strong> &lt;b&gt;not&lt;/b&gt;" in shown
    assert "<table>" in shown


def test_no_json_ends_its_element():
    block = json_block({"a": "</script><!--\u2028"})
    assert "<" not in block
    assert json.loads(block) == {"a": "</script><!--\u2028"}


@pytest.mark.parametrize("name", ["../../etc", "a b", ".hidden", "x" * 300, "", "CON/../y", "ä"])
def test_file_names_are_harmless_and_distinct(name):
    made = names.file_name(name)
    assert re.fullmatch(r"[A-Za-z0-9._=+,@-]{1,140}", made)
    assert not made.startswith(".")
    assert made != names.file_name(name + "!")
