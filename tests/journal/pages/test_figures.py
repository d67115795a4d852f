"""Curves: what is drawn is where it belongs, and spikes survive decimation."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from famulus.journal.facts.cells import cells_of
from famulus.journal.facts.curves import Series
from famulus.journal.facts.decimate import lttb, min_max
from famulus.journal.facts.entry import collect
from famulus.journal.facts.ranking import Ranking
from famulus.journal.pages import axes, figures, plot
from famulus.journal.pages.entry_page import entry_figure
from famulus.journal.pages.panels import colour_axes, layout
from famulus.journal.pages.standalone import svg_file
from tests.journal.runs import group, record


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(4, 60))
def test_decimation_keeps_ends_extremes_and_order(values, n):
    y = np.array(values)
    few, smooth = min_max(y, n), lttb(np.arange(len(y), dtype=float), y, n)
    for kept in (few, smooth):
        assert len(kept) <= n
        assert (kept[0], kept[-1]) == (0, len(y) - 1)
        assert np.all(np.diff(kept) > 0)
    assert (y[few].min(), y[few].max()) == (y.min(), y.max())


def test_every_nth_point_would_lose_a_spike():  # why min-max
    y = np.zeros(1000)
    y[503] = 9.0
    assert y[min_max(y, 50)].max() == 9.0
    assert y[::20].max() == 0.0


def test_small_multiples_of_the_laboratory(laboratory):
    entry = collect(laboratory, "tiles/compare-datasets")
    plan = layout(entry.cells, entry.ranking)
    assert len(plan.panels) == 9
    assert [name for _, name in plan.legend][:2] == ["bilinear · lr 0.0003", "bilinear · lr 0.001"]
    assert plan.panels[0].title == "mnist · size 20"
    for panel in plan.panels:  # a colour means one thing in a panel
        own = [plan.colour[g.key] for g in panel.groups if not g.child_of]
        assert len(own) == len(set(own)) == 4


def test_few_cells_share_a_panel():
    groups = [group({"lr": k}, 0.1, key=k) for k in range(5)]
    assert colour_axes(groups, ["lr"]) == ["lr"]
    many = [group({"lr": k}, 0.1, key=k) for k in range(20)]
    assert colour_axes(many, ["lr"]) == []


def made(values, **more):
    x = np.arange(1, len(values) + 1, dtype=float) * 100
    series = Series(x / 10, x, x / 50, np.array(values, dtype=float))
    trace = figures.Trace(0, 0, 0, "val", "a", "runs/a.html", series)
    return figures.Figure(["p"], [trace], score="val/loss", **more)


def test_a_point_is_drawn_at_its_place():
    figure = made([1.0, 2.0, 3.0])
    svg = plot.render_panels(figure)[0][1]
    d = re.search(r'class="v c0" data-s="0" data-g="0" d="M([^"]+)"', svg)[1]
    points = [tuple(map(float, p.split())) for p in d.split("L")]
    width, tall = axes.LARGE
    inside = width - axes.LEFT - axes.RIGHT
    want = [axes.LEFT + inside * k / 3 for k in (1, 2, 3)]
    assert [x for x, _ in points] == pytest.approx(want, abs=0.06)
    low, high = plot.y_range(figure, 0)
    height = tall - axes.TOP - axes.BOTTOM
    tops = [axes.TOP + height * (high - v) / (high - low) for v in (1, 2, 3)]
    assert [y for _, y in points] == pytest.approx(tops, abs=0.06)


def test_outliers_are_clipped_unless_asked_for():
    values = [1.0] * 300 + [1000.0]
    clipped = plot.y_range(made(values), 0)
    assert clipped[1] <= 2
    assert plot.y_range(made(values), 0, clip=False)[1] >= 1000


def test_a_floor_is_inside_the_range_and_hostile_words_are_escaped():
    figure = made([1.0, 2.0], floors={0: [(5.0, "<b>zero</b>")]})
    figure.marks.append(figures.Mark(0, 0, 0, (100.0, 10.0, 2.0), "<script>x</script>"))
    svg = plot.render_panels(figure)[0][1]
    assert plot.y_range(figure, 0)[1] > 5
    ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert "<b>" not in svg


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [-1.0, -2.0], [1e-9, 1e9], [3.0]])
def test_strange_values_make_a_chart(values):
    svg = plot.render_panels(made(values))[0][1]
    ElementTree.fromstring(svg)
    assert "nan" not in svg.lower()


def test_data_hold_the_same_curve():
    data = plot.figure_data(made([1.0, 2.0, 3.0]))["series"][0]
    assert (data["x"], data["y"], data["r"]) == ([100, 200, 300], [1.0, 2.0, 3.0], 10.0)


def test_the_file_for_papers_is_one_document(laboratory):
    entry = collect(laboratory, "tiles/compare-datasets")
    plan = layout(entry.cells, entry.ranking)
    text = svg_file(entry_figure(entry.cells, entry.ranking.score, plan))
    root = ElementTree.fromstring(text)
    inner = root.findall("{http://www.w3.org/2000/svg}svg")
    assert len(inner) == 9
    assert len(text) < 150_000


def test_runs_of_one_cell_are_told_apart_by_their_slugs_where_no_axis_does():
    """A filter without effect: two runs with other slugs are replicates of one cell."""
    two = np.array([1.0, 2.0])
    curve = {"val/loss": Series(two, 16 * two, two, 1 / two)}
    runs = [record({}, 0.5, slug=slug, id=slug, series=curve) for slug in ("filter=a", "filter=b")]
    cells = cells_of(runs)
    assert len(cells.groups) == 1
    data = plot.figure_data(entry_figure(cells, "val/loss", layout(cells, Ranking())))
    assert [s["n"] for s in data["series"]] == [f"{r.slug}, replicate 1" for r in runs]


@pytest.mark.parametrize(("panel", "shown"), [("a < b & <i>c</i>", None), ("", "val/x<y")])
def test_a_title_for_papers_is_text(panel, shown):
    """A reader of XML gets back what was written; a panel without a title names the score."""
    figure = made([1.0, 2.0])
    figure.panels, figure.score = [panel], "val/x<y"
    texts = ElementTree.fromstring(svg_file(figure)).findall("{http://www.w3.org/2000/svg}text")
    assert [t.text for t in texts if t.get("class") == "h"] == [shown or panel]


def test_a_mark_stands_at_the_point_nearest_to_its_step():
    steps = np.array([10.0, 20.0, 30.0, 40.0])
    series = Series(steps, 64 * steps, steps / 5, np.ones(4))
    marks = [
        {"step": 29, "text": "near"},
        {"step": 11, "inputs": 700, "what": "own place"},
        {"step": 90, "text": "behind all"},
        {"step": 0, "text": "before the first step"},
    ]
    run = record({}, marks=marks, series={"val/loss": series})
    drawn = [(m.at, m.text) for m in figures.marks_of(run, 0, 0, 0)]
    assert drawn == [
        ((64 * 30.0, 29.0, 6.0), "near"),
        ((700.0, 11.0, 2.0), "own place"),
        ((64 * 40.0, 90.0, 8.0), "behind all"),
    ]


def test_many_marks_are_all_drawn_and_few_have_words():
    frame = axes.Frame(axes.LARGE, 2600.0, (0.0, 1.0), False)
    marks = [figures.Mark(0, 0, 0, (100.0 * n, n, n), f"layer {n}") for n in range(1, 26)]
    drawn = plot._marks(marks, frame, [])
    assert len(drawn) == 25
    worded = [n for n, text in enumerate(drawn, 1) if f">layer {n}</text>" in text]
    assert worded == [1, 2, 3, 4, 25]
    assert all(f"<title>layer {n}</title>" in text for n, text in enumerate(drawn, 1))
    few = plot._marks(marks[:5], frame, [])
    assert all(f">layer {n}</text>" in text for n, text in enumerate(few, 1))


def test_a_mark_that_a_fork_has_of_its_parent_is_worded_once():
    frame = axes.Frame(axes.LARGE, 2600.0, (0.0, 1.0), False)
    marks = [
        figures.Mark(0, 0, 0, (100.0, 1.0, 1.0), "fork"),
        figures.Mark(0, 1, 1, (100.0, 1.0, 3.0), "fork"),
        figures.Mark(0, 1, 1, (900.0, 9.0, 9.0), "fork"),
    ]
    drawn = plot._marks(marks, frame, [])
    assert [text.count(">fork</text>") for text in drawn] == [1, 0, 1]


def test_the_baseline_of_a_panel_lies_inside_its_own_frame_and_moves_no_other():
    figure = made([1.0, 2.0], own=True, floors={0: [(5.0, "zero")], 1: [(-70.0, "median")]})
    figure.panels.append("q")
    low, high = plot.y_range(figure, 0)
    assert high > 5
    assert low >= 0
    assert plot.y_range(figure, 1)[0] < -70
    assert plot.figure_data(figure)["floors"] == [[5.0], [-70.0]]
    shared = made([1.0, 2.0], floors={0: [(5.0, "zero")], 1: [(-70.0, "median")]})
    assert plot.y_range(shared, 0) == plot.y_range(shared, 1)


def test_a_run_under_way_has_the_band_of_its_forecast(monkeypatch):
    """Drawn from its last validation to the end of its budget; nothing once it has finished."""
    at = np.linspace(2_000, 80_000, 40)
    series = Series(at / 64, at, at / 1000, 0.02 + 0.5 * (1 + at / 2000) ** -0.5)
    config = {"training": {"inputs": 1_000_000, "optimizer": {"lr": 0.001}, "batch": 64,
                           "schedule": {"name": "cosine"}}}  # fmt: skip
    known = {"config": config, "series": {"val/loss": series, "train/total": series}}
    one = record(status="running", **known)
    made = figures.run_figure(one, "val/loss")
    assert len(made.bands) == 1
    band = made.bands[0][2]
    assert (band["inputs"][0], band["inputs"][-1]) == (80_000, 1_000_000)
    assert band["low"][0] == band["high"][0] == series.value[-1]
    assert band["low"][-1] < band["high"][-1] < series.value[-1]
    assert 'class="b c0"' in plot.render_panels(made)[0][1]
    assert not figures.run_figure(record(status="finished", **known), "val/loss").bands


def test_a_resumed_attempt_is_marked_where_it_took_the_curve_up():
    steps = np.array([10.0, 20.0, 30.0, 40.0])
    series = {"val/loss": Series(steps, 64 * steps, steps / 5, np.ones(4))}
    attempts = [
        {"start_from": None, "ended": "interrupted"},
        {"start_from": 20, "ended": "rollback"},
        {"start_from": 30, "ended": "finished"},
    ]
    drawn = figures.marks_of(record({}, attempts=attempts, series=series), 0, 0, 0)
    assert [(m.at[1], m.text) for m in drawn] == [
        (20.0, "resumed, attempt 2"),
        (30.0, "rolled back, attempt 3"),
    ]
    assert not figures.marks_of(record({}, attempts=attempts[:1], series=series), 0, 0, 0)


def test_panels_of_a_log_line_have_names_of_the_field():
    at = np.array([1.0, 2.0])
    keys = ("lr", "rate", "wait", "grad_norm", "train/kl", "train/total")
    run = record({}, series={key: Series(at, at, at, at) for key in keys})
    panels = figures.run_figure(run, "val/loss").panels
    assert panels[0] == "loss"  # first, also of a loop that never validates
    assert {"learning rate", "throughput (samples/s)"} < set(panels)
    assert not {"rate", "lr"} & set(panels)


def test_a_curve_of_rounding_is_drawn_as_constant():
    """0.6931471 and 0.6931472: an axis between them would need eight digits."""
    for values in ([0.6931471, 0.6931472], [-0.6931471, -0.6931472]):
        low, high = plot.y_range(made(values), 0)
        assert high - low > 0.1 * abs(values[0])
    low, high = plot.y_range(made([0.6931, 0.6941]), 0)
    assert high - low < 0.0012


def test_words_of_a_mark_end_inside_the_panel():
    frame = axes.Frame(axes.SMALL, 100.0, (0.0, 1.0), False)
    for at in (1.0, 45.0, 55.0, 99.0):
        (drawn,) = plot._marks([figures.Mark(0, 0, 0, (at, 1.0, 1.0), "w" * 90)], frame, [])
        x = float(re.search(r"translate\(([\d.]+)", drawn)[1])
        side, words = re.search(r'<text class="(e?)"[^>]*>(.*?)</text>', drawn).groups()
        end = x + (-1 if side else 1) * len(words) * 0.5 * axes.FONT  # half an em a letter at least
        assert 0 <= end <= frame.size[0]
        assert len(words) > 20


def test_words_of_floors_never_lie_on_each_other():
    """Cells of one page have nearly the same baseline: its name stands once."""
    near = {
        0: [(1.94, "best constant"), (1.95, "best constant"), (1.945, "median"), (1.2, "chance")]
    }
    svg = plot.render_panels(made([1.0, 2.0], floors=near))[0][1]
    words = re.findall(r'<text class="e f"[^>]*y="([\d.]+)">([^<]*)<', svg)
    assert [name for _, name in words] == ["best constant, median", "chance"]
    assert abs(float(words[0][0]) - float(words[1][0])) > axes.FONT
    assert svg.count('<path class="f"') == 4
