"""A confusion on the pages: names and counts, of two classes as of many, and as text only."""

from html import unescape

import pytest

from famulus.journal.facts.read import _picture
from famulus.journal.pages.markdown import _confusion
from famulus.journal.pages.pictures import confusion
from famulus.journal.pages.site import write
from famulus.store.claims import claim
from tests.journal import conftest as lab

EVENT = {
    "kind": "picture", "step": 5, "inputs": 320, "name": "confusion", "labels": ["x"],
    "caption": "Rows true, columns answered.",
    "confusion": {"names": ["horse", "<b>human</b>"], "counts": [[44, 84], [1, 127]]},
}  # fmt: skip


def shown(event):
    return _picture({"file": "pictures/c.png", **event})


def test_a_cell_has_its_count_and_the_percent_of_its_row():
    rows = confusion(shown(EVENT))
    assert [r["name"] for r in rows] == ["horse", "<b>human</b>"]
    cells = [[(c["n"], c["share"]) for c in r["cells"]] for r in rows]
    assert cells == [[("44", "34 %"), ("84", "66 %")], [("1", "0.8 %"), ("127", "99 %")]]
    assert [[c["shade"] for c in r["cells"]] for r in rows] == [[2, 4], [1, 5]]


def test_a_class_without_samples_divides_by_nothing():
    event = EVENT | {"confusion": {"names": ["a", "b"], "counts": [[0, 0], [0, 3]]}}
    assert [c["share"] for c in confusion(shown(event))[0]["cells"]] == ["", ""]


def test_the_page_and_its_markdown_name_classes_and_counts(empty):
    run = empty.create_run("e", "cell", lab.run_id(1), lab.config(lab.cells()[0]))
    attempt = claim(run)
    file = attempt.save_picture("confusion", lab.picture(lab.cells()[0], 1, 2))
    attempt.emit({**EVENT, "file": file})
    attempt.end("interrupted")
    pages = {p.name: p.read_text() for p in write(empty) if p.suffix in (".html", ".md")}
    for text in pages.values():
        assert "<b>human" not in text
    with_it = [t for name, t in pages.items() if name.startswith("cell") or name == "index.md"]
    assert len(with_it) == 2
    for text in with_it:
        assert "horse" in text
        assert "84" in text
        assert "66 %" in unescape(text)


@pytest.mark.parametrize(
    "broken", [None, 3, {}, {"names": ["a"]}, {"names": ["a"], "counts": [[1, 2]]},
               {"names": ["a", "b"], "counts": [[1, 2]]}, {"names": ["a"], "counts": [["x"]]}],
)  # fmt: skip
def test_what_is_no_table_is_left_out_and_the_picture_stays(broken):
    picture = shown(EVENT | {"confusion": broken})
    assert picture.file == "pictures/c.png"
    assert picture.counts == ()
    assert confusion(picture) == []


def test_the_markdown_is_a_table_of_equal_rows():
    lines = _confusion(shown(EVENT)).split("\n\n")[0].splitlines()
    assert len(lines) == 4
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
