"""The page in a real browser: its script runs under its own policy, and something is drawn."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from famulus.journal.pages import axes
from famulus.journal.pages.site import write

CHROMIUM = shutil.which("chromium")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=3000",
    "--enable-logging=stderr",
]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt install")


def browse(tmp_path, page, *options):
    """(standard output, what the page's console said)."""
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [CHROMIUM, *QUIET, profile, *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, console


@pytest.fixture
def entry(laboratory, tmp_path):
    """The page of the made-up experiment."""
    pages = write(laboratory, None, tmp_path / "pages")
    return next(p for p in pages if p.parent.name == "compare-datasets" and p.name == "index.html")


def test_the_script_runs_and_nothing_complains(entry, tmp_path):
    dom, console = browse(tmp_path, entry, "--dump-dom")
    assert console == []
    assert re.search(r"<html[^>]*class=\"[^\"]*scripted", dom)


def test_a_script_of_somebody_else_is_refused(entry, tmp_path):
    """Negative control: the policy is alive, and the console is really read."""
    text = entry.read_text()
    hostile = "<script>document.documentElement.classList.add('hostile')</script></body>"
    entry.write_text(text.replace("</body>", hostile) if "</body>" in text else text + hostile[:-7])
    dom, console = browse(tmp_path, entry, "--dump-dom")
    assert any("Content Security Policy" in line for line in console)
    assert not re.search(r"<html[^>]*class=\"[^\"]*hostile", dom)


def test_light_and_dark_differ_and_are_not_blank(entry, tmp_path):
    seen = []
    for dark in ((), ("--blink-settings=preferredColorScheme=0",)):
        shot = tmp_path / f"shot{len(dark)}.png"
        browse(tmp_path, entry, f"--screenshot={shot}", "--window-size=1100,1600", *dark)
        seen.append(np.asarray(Image.open(shot).convert("L"), float))
    light, dark = seen
    assert light.mean() > 200
    assert light.std() > 10
    assert dark.mean() < 100


NARROW = 390


def drawn(dom):
    """Of the first plot: width and height of its box, labels of its y and of its x axis."""
    svg = re.search(r'<svg class="plot".*?</svg>', dom, re.S)[0]
    box = [float(v) for v in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()]
    axis = {k: re.search(rf'<g class="{k}">(.*?)</g>', svg, re.S)[1] for k in "yx"}
    return box, *(re.findall(r"<text[^>]*>([^<]*)</text>", axis[k]) for k in "yx")


def test_the_script_draws_the_axes_that_the_page_had(entry, tmp_path):
    """As wide as it is shown, with the ticks and labels of pages/axes.py."""
    before = drawn(entry.read_text())
    dom, _ = browse(tmp_path, entry, "--dump-dom", "--window-size=1280,1000")
    after = drawn(dom)
    assert after[0][0] != before[0][0]  # it was drawn anew
    assert after[1:] == before[1:]
    assert len(after[1]) >= 3
    assert len(after[2]) >= 3


def framed(tmp_path, page, script):
    """What `script` (a function of the page's document, giving a list) finds at a narrow width.

    Chromium has no window so narrow: the page stands in a frame.
    """
    outer = tmp_path / "frame.html"
    look = f"""<script>onload = () => {{
      const page = document.querySelector("iframe").contentDocument;
      document.title = "[" + ({script})(page).join("|") + "]";
    }}</script>"""
    source = f'<iframe src="{page.as_uri()}" width="{NARROW}" height="3000"></iframe>{look}'
    outer.write_text(f"<!doctype html><title>none</title>{source}")
    dom, _ = browse(tmp_path, outer, "--dump-dom", "--allow-file-access-from-files")
    return re.search(r"<title>\[(.*?)\]</title>", dom)[1].split("|")


def test_letters_keep_their_size_on_a_narrow_screen(entry, tmp_path):
    """A pixel of the drawing is one of the screen: letters are as large as the style says."""
    script = """(page) => [...page.querySelectorAll("svg.plot text")].map((text) =>
      parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.getScreenCTM().a)"""
    sizes = [float(v) for v in framed(tmp_path, entry, script)]
    assert len(sizes) > 9 * 6
    assert min(sizes) >= 9
    assert max(sizes) <= 13


@pytest.mark.parametrize("over", ["samples", "steps", "time"])
def test_each_x_axis_has_round_ticks_and_says_what_it_counts(entry, tmp_path, over):
    script = f"""(page) => {{
      const field = page.querySelector("[data-axis=x]");
      field.value = "{over}";
      field.dispatchEvent(new Event("change"));
      const svg = page.querySelector("svg.plot");
      const words = [svg.querySelector(".name"), ...svg.querySelectorAll(".x text")];
      return words.map((e) => e.textContent);
    }}"""
    name, *labels = framed(tmp_path, entry, script)
    data = json.loads(re.search(r'class="data">(.*?)</script>', entry.read_text(), re.S)[1])
    ends = {
        "samples": max(s["x"][-1] for s in data["series"]),
        "steps": max(s["x"][-1] / s["r"] for s in data["series"]),
        "time": max(s["s"][-1] for s in data["series"]) / 60,  # up to 11 minutes
    }
    assert name == {"time": "time (min)"}.get(over, over)
    assert labels == axes.tick_labels(axes.ticks(0, ends[over], False))
    assert len(labels) >= 3


def test_paper_has_everything_unfolded(entry, tmp_path):
    script = """(page) => {
      page.defaultView.dispatchEvent(new Event("beforeprint"));
      return [...page.querySelectorAll("details")].map((d) => d.open);
    }"""
    opened = framed(tmp_path, entry, script)
    assert len(opened) >= 2
    assert set(opened) == {"true"}
