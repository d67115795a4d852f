"""What is drawn: axes, bars, order, letters and paper.

A browser is not asked here; sizes and contrasts are computed from the style sheet.
"""

import io
import itertools
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from famulus import Monitor
from famulus.journal.facts.curves import Series
from famulus.journal.pages import figures, plot
from tests.truth import words
from tests.truth.reading import Page
from tests.truth.shop import DIGITS, Play, Shop

RATES = {"matrix": {"lr": [0.001, 0.002, 0.003]}, "training__optimizer__lr": "${matrix.lr}"}


# -- axes ------------------------------------------------------------------------------------------


def y_labels(svg) -> list[str]:
    """Texts beside the gridlines of a plot."""
    grid = [g for g in svg.all("g") if "y" in g.classes]
    return [text.text for g in grid for text in g.all("text")]


def plots(page: Page):
    return [svg for svg in page.main.all("svg") if "plot" in svg.classes]


NARROW = ((0.36512, 0.36521), (0.9801, 0.9899), (104.21, 104.48), (1.0002, 1.0009),
          (1234.1, 1236.8), (-0.26243, -0.26218), (99_950.0, 100_040.0), (2.5e-7, 2.9e-7),
          (0.0, 1.0), (0.001, 30.0))  # fmt: skip


@pytest.mark.parametrize(("low", "high"), NARROW)
def test_no_two_gridlines_have_the_same_label(low, high):
    import numpy as np

    n = np.arange(1.0, 21.0)
    values = np.linspace(high, low, 20)
    series = Series(n, n * 32, n, values)
    made = figures.Figure([""], score="val/loss")
    made.traces.append(figures.Trace(0, 0, 0, "val", "a", "", series))
    (_, svg), *_ = plot.render_panels(made)
    from tests.truth.reading import _Tree

    labels = y_labels(_Tree(svg).root)
    assert len(labels) >= 2, labels
    assert len(set(labels)) == len(labels), labels


def test_gridlines_of_a_real_page_differ(shop):
    shop.play(shop.write(), Play({"loss": 0.36512}, curve=[0.36521, 0.36518, 0.36515, 0.36512]))
    for svg in plots(shop.entry()):
        labels = y_labels(svg)
        assert len(set(labels)) == len(labels), labels


def test_the_x_axis_has_figures_between_its_ends(shop):
    shop.play(shop.write(training__inputs=640), Play({"loss": 0.3}))
    for svg in plots(shop.entry()):
        grid = {text.text for g in svg.all("g") if "y" in g.classes for text in g.all("text")}
        inside = [t.text for t in svg.all("text") if re.match(r"[\d.]+ ?[kM]?( |$)", t.text)]
        ticks = [t for t in inside if t not in grid]
        assert len(ticks) >= 3, inside


def test_speed_and_learning_rate_are_not_both_a_rate(shop):
    shop.do("run", shop.write())
    page = shop.run_page(shop.runs()[0])
    titles = [figure.all("figcaption")[0].text for figure in page.main.all("figure")]
    heads = [key for row in shop.entry().rows for key in row.cells]
    listed = [dt.text for dt in page.main.all("dt")]
    assert titles
    assert "rate" not in [*titles, *heads, *listed], titles


# -- order, figures and bars -----------------------------------------------------------------------


def test_the_index_is_newest_first_within_a_day(shop):
    times = {"b": "09:00", "c": "11:30", "a": "10:15", "d": "08:20"}
    for name, clock in times.items():
        play = Play({"loss": 0.3}, time=f"2026-11-20T{clock}:00.000+00:00")
        shop.play(shop.write(DIGITS, name, training__seed=ord(name)), play)
    text = shop.index().text.split("To do")[0]
    order = [y for x in text.splitlines() if (y := Path(x).stem) in times]
    assert order == sorted(times, key=times.get, reverse=True)


def test_the_index_is_newest_first_over_days(shop):
    days = {"b": "2026-11-20T23:00", "a": "2026-11-21T01:00", "c": "2026-11-19T12:00"}
    for name, day in days.items():
        play = Play({"loss": 0.3}, time=f"{day}:00.000+00:00")
        shop.play(shop.write(DIGITS, name, training__seed=ord(name)), play)
    text = shop.index().text.split("To do")[0]
    order = [y for x in text.splitlines() if (y := Path(x).stem) in days]
    assert order == ["a", "b", "c"]


@pytest.mark.parametrize("seconds", [0.04, 0.3])
def test_a_short_run_is_not_told_in_thousandths_of_a_minute(shop, seconds):
    shop.play(shop.write(**RATES), Play({"loss": 0.3}, seconds=seconds))
    for row in shop.entry().rows:
        for value in (v for k, v in row.cells.items() if k.startswith("minutes")):
            assert not re.fullmatch(r"0\.00\d*", value), value
    for line in shop.do("compare", "tiny").out.splitlines():
        assert not re.search(r" 0\.000\d| 0\.00500", line), line


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Losses of .1, .2 and .5."""
    shop = Shop(tmp_path_factory.mktemp("three"))
    ends = {0.001: 0.5, 0.002: 0.1, 0.003: 0.2}
    shop.play(shop.write(**RATES), lambda axes: Play({"loss": ends[axes["lr"]]}))
    return shop


def test_the_longest_bar_is_the_best_row(three):
    rows = three.entry().rows
    bars = {row["lr"]: row.bar for row in rows}
    assert None not in bars.values()
    assert max(bars, key=bars.get) == "0.002"
    assert min(bars, key=bars.get) == "0.001"
    assert [row["lr"] for row in rows if row.best] == ["0.002"]


def test_the_longest_bar_in_text_is_the_best_row(three):
    lines = three.do("compare", "tiny").out.splitlines()
    lengths = {}
    for line in lines:
        if rate := re.match(r"\s*(0\.00[123])\b", line):
            longest = max((len(m[0]) for m in re.finditer(r"([*█■▇=#|])\1*", line)), default=0)
            lengths[rate[1]] = longest
    assert max(lengths, key=lengths.get) == "0.002", lines
    assert min(lengths, key=lengths.get) == "0.001", lines


def test_where_more_is_better_the_longest_bar_is_the_best_row_too(shop):
    from tests.truth.shop import INK

    path = shop.write(INK, "ink", **RATES, training__keep={"best": "val/auc"})
    ends = {0.001: 0.9, 0.002: 0.6, 0.003: 0.7}
    shop.play(path, lambda axes: Play({"loss": 0.3, "auc": ends[axes["lr"]]}))
    bars = {row["lr"]: row.bar for row in shop.entry("ink").rows}
    assert max(bars, key=bars.get) == "0.001"


# -- pages of loops without a file -----------------------------------------------------------------


@pytest.fixture(scope="module")
def monitored(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("monitored"))
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Monitor(model, optimizer, store=str(shop.root), name="mine", controls_s=0.0) as monitor:
        for _ in range(20):
            loss = model(torch.ones(4, 2)).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            monitor.step(loss)
    return shop


def test_a_monitored_loop_has_no_yaml_file(monitored):
    for page in (monitored.entry("mine"), monitored.index(),
                 monitored.run_page(monitored.runs("mine")[0])):  # fmt: skip
        assert "mine.yaml" not in page.text
        assert not words.has("the file as written", page.text)


def test_the_command_writes_its_page_by_name(monitored):
    said = monitored.do("journal", "mine")
    assert "mine.yaml" not in said.out
    assert "mine" in said.out


# -- the style sheet: contrast, letters, paper -----------------------------------------------------


@pytest.fixture(scope="module")
def style(three):
    html = (three.journal() / "tiny" / "index.html").read_text()
    return re.search(r"(?s)<style>(.*?)</style>", html)[1]


def block(css: str, query: str) -> str:
    """Rules inside the @media blocks whose query matches."""
    inside = ""
    for begin in re.finditer(rf"@media[^{{]*{query}[^{{]*\{{", css):
        depth, at = 1, begin.end()
        while depth and at < len(css):
            depth += {"{": 1, "}": -1}.get(css[at], 0)
            at += 1
        inside += css[begin.end() : at - 1]
    return inside


def without_media(css: str) -> str:
    for begin in reversed(list(re.finditer(r"@media[^{]*\{", css))):
        depth, at = 1, begin.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(css[at], 0)
            at += 1
        css = css[: begin.start()] + css[at:]
    return css


def colours(css: str) -> dict[str, tuple[float, float, float]]:
    found = {}
    for name, digits in re.findall(r"--([\w-]+):\s*#([0-9a-f]{6})", css):
        found.setdefault(name, tuple(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)))
    return found


def luminance(rgb) -> float:
    """Relative luminance; source: WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b) -> float:
    one, other = sorted((luminance(a), luminance(b)), reverse=True)
    return (one + 0.05) / (other + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_training_curves_can_be_seen(style, dark):
    """Contrast of a thin curve against the paper, at its opacity: 2.5 at least, where it was 1.7
    (WCAG asks 3 of graphics that nothing else tells; the validation curve tells it here)."""
    sheet = block(style, "dark") if dark else without_media(style)
    known = colours(sheet)
    opacity = re.search(r"svg \.t\s*\{[^}]*?opacity:\s*([\d.]+)", without_media(style))
    share = float(opacity[1]) if opacity else 1.0
    paper = known["paper"]
    for n in range(8):
        drawn = tuple(
            share * c + (1 - share) * p for c, p in zip(known[f"c{n}"], paper, strict=True)
        )
        assert contrast(drawn, paper) >= 2.5, f"c{n} at {share}: {contrast(drawn, paper):.2f}"


def test_letters_of_a_plot_are_legible_on_a_telephone(style, three):
    """Of 390 px the page leaves some 354: letters, scaled with the plot, have 8 px or more."""
    svg = plots(three.entry())[0]
    width = float(svg.attributes["viewbox"].split()[2])
    narrow = block(style, r"max-width")
    wide = without_media(style)
    size = next(float(m[1]) for css in (narrow, wide) if (m := _letters(css)))
    least = re.search(r"svg\.plot\s*\{[^}]*?min-width:\s*(\d+)px", narrow + wide)
    shown = max(354.0, float(least[1]) if least else 0.0)
    assert size * shown / width >= 8.0, f"{size} px at {shown / width:.2f}"


def _letters(css: str) -> re.Match | None:
    rules = re.findall(r"svg(?:\.plot)? text\s*\{([^}]*)\}", css)
    sizes = [m for rule in rules if (m := re.search(r"(?:font|font-size):[^;]*?([\d.]+)px", rule))]
    return sizes[-1] if sizes else None


def test_on_paper_nothing_is_cut_and_settings_can_be_read(style, three):
    paper = block(style, "print")
    assert re.search(r"\.wide[^{}]*\{[^}]*overflow(-x)?:\s*visible", paper), "the table is cut"
    html = (three.journal() / "tiny" / "index.html").read_text()
    opened = re.search(r"details[^{}]*\{[^}]*(content-visibility|display)|::details-content", paper)
    assert opened or "beforeprint" in html, "settings are folded on paper"


def test_on_paper_a_heading_stays_with_its_curves(style):
    """A heading in a block that may break before its figure is left alone at the end of a page."""
    paper = block(style, "print")
    kept = re.findall(r"([^{}]+)\{[^}]*break-(?:after|inside|before):\s*avoid", paper)
    named = " ".join(kept)
    assert re.search(r"\bh2\b", named)
    assert re.search(r"\.multiples|\[data-chart\]|section|figure|\.bar", named), named


# -- a confusion of classes ------------------------------------------------------------------------


def test_a_confusion_of_two_classes_has_names_and_numbers(tmp_path):
    """Two classes of 12 pictures each: rows and columns named, and counts that add up to 12."""
    import numpy as np
    from PIL import Image

    shop = Shop(tmp_path)
    rng = np.random.default_rng(2)
    for name, level in (("papyrus", 40), ("vellum", 200)):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for n in range(40):
            drawn = rng.integers(level - 40, level + 40, (16, 16), dtype=np.uint8)
            Image.fromarray(drawn).save(folder / f"{n:02d}.png")
    base = {"why": "which of two?", "task": "transfer", "training": DIGITS["training"],
            "data": {"name": str(tmp_path / "pictures"), "validation": 0.25, "size": 16},
            "model": {"encoder": {"kind": "conv", "channels": [4, 8], "stem": 1}}}  # fmt: skip
    shop.do("run", shop.write(base, "two", training__pictures_every={"inputs": 160}))
    run = shop.runs("two")[0]
    page = shop.run_page(run)
    shown = next(d for d in page.main.all("div", kind="pic") if words.has("confusion", d.text))
    for name in ("papyrus", "vellum"):
        assert name in shown.text, shown.text
    counts = [int(x) for x in re.findall(r"\b\d+\b", shown.text.partition("samples")[2])]
    held = next(e["validation_samples"] for e in run.events() if e["kind"] == "facts")
    told = any(sum(four) == held for four in itertools.combinations(counts, 4))
    drawn = next(e["file"] for e in run.events() if e.get("name") == "confusion")
    picture = Image.open(io.BytesIO(run.picture(drawn)))
    assert told or _is_lettered(picture), f"no counts: {shown.text}"


def _is_lettered(picture) -> bool:
    """Are there figures in it? Blocks alone change their grey a few times along a row."""
    import numpy as np

    grey = np.asarray(picture.convert("L"), int)
    return int((np.diff(grey, axis=1) != 0).sum(1).max()) > 8
