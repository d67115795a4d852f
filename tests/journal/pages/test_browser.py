"""The page in a real browser: its script runs under its own policy, and something is drawn."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

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
