"""Colours that can be seen and letters that can be read, computed from the style sheet itself.

Contrast as in WCAG 2.1: (L1 + 0.05) / (L2 + 0.05) of relative luminances; 3 for graphics (1.4.11),
4.5 for text (1.4.3).
"""

import re

import pytest

from famulus.journal.pages import axes, standalone
from famulus.journal.pages.html import ASSETS
from famulus.journal.pages.panels import COLOURS

STYLE = (ASSETS / "style.css").read_text()
DARK = STYLE[STYLE.index("prefers-color-scheme: dark") :]
PAPER = 390  # css pixels of a narrow telephone
READABLE = 9  # css pixels


def variables(text: str) -> dict[str, str]:
    """The colours of the first `:root` block in `text`."""
    block = text[text.index(":root") :]
    return dict(re.findall(r"--(\w+): #(\w{6})", block[: block.index("}")]))


THEMES = {"light": variables(STYLE), "dark": variables(DARK)}


def rgb(colour: str) -> list[int]:
    return [int(colour[n : n + 2], 16) for n in (0, 2, 4)]


def luminance(colour: list[float]) -> float:
    linear = [v / 3294.6 if v <= 10.31475 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(colour: str, paper: str, opacity: float = 1.0) -> float:
    """Of `colour` laid over `paper` with `opacity`, against `paper`."""
    below = rgb(paper)
    mixed = [opacity * a + (1 - opacity) * b for a, b in zip(rgb(colour), below, strict=True)]
    low, high = sorted((luminance(mixed), luminance(below)))
    return (high + 0.05) / (low + 0.05)


def opacity(selector: str, style: str) -> float:
    rule = re.search(re.escape(selector) + r" ?\{([^}]*)\}", style)[1]
    value = re.search(r"(?<!-)opacity: ?([\d.]+)", rule)
    return float(value[1]) if value else 1.0


def test_the_formula_gives_the_published_extremes():
    assert contrast("000000", "ffffff") == pytest.approx(21)
    assert contrast("777777", "ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", ["t", "v"])
@pytest.mark.parametrize("number", range(COLOURS))
def test_curves_stand_out_from_the_paper(theme, kind, number):
    colours = THEMES[theme]
    assert contrast(colours[f"c{number}"], colours["paper"], opacity(f"svg .{kind}", STYLE)) >= 3


@pytest.mark.parametrize("number", range(COLOURS))
def test_curves_of_the_file_for_papers_do_too(number):
    colour = re.search(rf"\.c{number}\{{stroke:#(\w{{6}})", standalone.STYLE)[1]
    assert contrast(colour, "ffffff", opacity(".t", standalone.STYLE)) >= 3
    assert colour == THEMES["light"][f"c{number}"]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("words", ["ink", "soft", "link", "good", "bad", "warn"])
def test_words_can_be_read(theme, words):
    assert contrast(THEMES[theme][words], THEMES[theme]["paper"]) >= 4.5


def test_training_curves_at_four_tenths_would_be_seen():  # proof that the test can fail
    colours = THEMES["light"]
    weak = [contrast(colours[f"c{n}"], colours["paper"], 0.4) for n in range(COLOURS)]
    assert max(weak) < 3


def number(pattern: str) -> float:
    return float(re.search(pattern, STYLE)[1])


def test_letters_of_plots_can_be_read_without_the_script():
    """The smallest that a plot is shown, over its own width: with the script both are one."""
    font = number(r"svg text \{ font: ([\d.]+)px")
    assert font == axes.FONT
    column = number(r"minmax\((\d+)px, 1fr\)")
    alone = number(r"\.one svg\.plot \{ min-width: (\d+)px")
    assert font * column / axes.SMALL[0] >= READABLE
    assert font * alone / axes.LARGE[0] >= READABLE
    # what the page leaves of a narrow screen holds one column
    margin = number(r"main, footer \{ padding-left: (\d+)px")
    assert PAPER - 2 * margin >= column
    assert font * (PAPER - 2 * margin) / axes.LARGE[0] < READABLE  # why it has a least width


def test_no_letter_of_the_style_is_smaller():
    sizes = [float(s) for s in re.findall(r"font(?:-size)?:[^;{}]*?([\d.]+)px", STYLE)]
    assert min(sizes) >= READABLE
