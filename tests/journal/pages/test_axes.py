"""Axes: round ticks, labels that tell them apart, and letters that can be read at any width."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from famulus.journal.pages import axes

RANGES = [
    (0.02, 0.16, True),
    (0, 1, False),
    (-3, 7, False),
    (0.0301, 0.0302, True),
    (1e-6, 10, True),
    (0.9995, 1.0005, False),
    (123_400, 123_900, False),
    (-0.00012, 0.00031, False),
    (1e-9, 1.4e-9, True),
]
SIZES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


def read(label: str) -> float:
    """The number that a person reads from a label."""
    digits, _, unit = label.partition(" ")
    return float(digits) * SIZES[unit]


@pytest.mark.parametrize(("low", "high", "log"), RANGES)
def test_ticks_are_inside_and_few(low, high, log):
    values = axes.ticks(low, high, log)
    assert 2 <= len(values) <= 11
    assert all(low <= t * (1 + 1e-9) and t <= high * (1 + 1e-9) for t in values)


@pytest.mark.parametrize(("low", "high", "log"), RANGES)
def test_labels_are_read_as_the_ticks_that_they_name(low, high, log):
    values = axes.ticks(low, high, log)
    labels = axes.tick_labels(values)
    assert len(set(labels)) == len(values)
    for n, (value, label) in enumerate(zip(values, labels, strict=True)):
        gap = min(abs(value - v) for m, v in enumerate(values) if m != n)
        assert abs(read(label) - value) <= 0.02 * gap


def test_two_digits_for_all_would_give_one_label_to_two_ticks():  # proof that the test can fail
    values = axes.ticks(0.9995, 1.0005, False)
    assert len({axes.tick_label(v, 2) for v in values}) < len(values)


@given(st.floats(-1e5, 1e5), st.floats(1e-4, 10.0))
def test_no_two_labels_are_equal_on_any_axis(low, share):
    values = axes.ticks(low, low + share * max(abs(low), 1.0), False)
    labels = axes.tick_labels(values)
    assert all(read(a) < read(b) for a, b in pairwise(labels))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.05, "0.05"),
        (0.00032, "3.2e-4"),
        (0.0005, "0.0005"),
        (0.00001, "1e-5"),
        (1500, "1.5 k"),
        (0, "0"),
        (-3, "-3"),
    ],
)
def test_tick_labels_are_short(value, text):
    assert axes.tick_label(value) == text


def texts(svg: str) -> list[tuple[float, float, str, str]]:
    """(x, y, where it is anchored, words) of each text."""
    root = ElementTree.fromstring(f"<svg>{svg}</svg>")
    return [
        (float(t.get("x")), float(t.get("y")), t.get("class"), t.text) for t in root.iter("text")
    ]


def extent(x: float, anchor: str, words: str) -> tuple[float, float]:
    """Left and right end of words in the widest usual face: 0.64 em a character."""
    width = 0.64 * axes.FONT * len(words)
    left = x - width if "e" in anchor.split() else x - width / 2 if anchor == "c" else x
    return left, left + width


@pytest.mark.parametrize("end", [1.0, 640.0, 6_016.0, 99_000.0, 1_000_000.0, 12_345_678.0])
@pytest.mark.parametrize("size", [axes.SMALL, axes.LARGE])
def test_the_x_axis_has_round_ticks_between_its_ends_that_do_not_touch(end, size):
    drawn = texts(axes.x_axis(axes.Frame(size, end, (0.0, 1.0), False), "samples"))
    (*labels, name) = drawn
    assert name[3] == "samples"
    assert len(labels) >= 3
    for x, _, anchor, words in labels:
        mantissa = f"{read(words):.15e}".split("e")[0].rstrip("0").rstrip(".")
        assert len(mantissa) <= 3, words  # 2 or 2.5, never 1.204
        if anchor == "c":
            inside = size[0] - axes.LEFT - axes.RIGHT
            assert x == pytest.approx(axes.LEFT + inside * read(words) / end, abs=0.06)
    ends = [extent(x, anchor, words) for x, _, anchor, words in labels]
    assert all(a[1] < b[0] for a, b in pairwise(ends))
    assert ends[0][0] >= 0
    assert ends[-1][1] <= size[0]
    assert name[1] - labels[0][1] >= axes.FONT  # a line of its own


@pytest.mark.parametrize(("low", "high", "log"), RANGES)
def test_labels_of_the_y_axis_fit_their_margin(low, high, log):
    labels = axes.tick_labels(axes.ticks(low, high, log))
    frame = axes.Frame(axes.SMALL, 1.0, (low, high), log, axes.left_margin(labels))
    svg = axes.y_axis(frame)
    for x, y, anchor, words in texts(svg):
        assert extent(x, anchor, words)[0] >= 0
        assert 0 <= y <= frame.size[1]
    heights = [float(y) for y in re.findall(r'class="g" d="M\d+ ([\d.]+)H', svg)]
    assert all(abs(a - b) > axes.FONT for a, b in pairwise(sorted(heights)))
