"""What docs/watch.md shows is what is printed, figures aside."""

import re
from pathlib import Path

import pytest
from benchmarks.watched_scripts import CONTROLS_STEPS, faults

from tests.watch.shell import script, watch

PAGE = (Path(__file__).parents[2] / "docs" / "watch.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```text\n\$ famulus watch (\w+)\.py\n(.*?)```", PAGE, re.DOTALL))
CAUSE = re.compile(r" *(info|warning|error): ")


def worded(text):
    """The run, its first finding whole, and the names of what follows from that; no figures.

    How far a rate is from a usual one, which consequences are told by, differs between processors.
    """
    _, run, *lines = re.split(r"^(famulus: .*)\n", text, flags=re.MULTILINE)
    lines = lines[0].rstrip("\n").split("\n")
    causes = [line for line in lines[3:] if CAUSE.match(line)]
    text = "\n".join([run, *lines[:3], *causes])
    text = re.sub(r"\b[0-9a-f]{12}\b", "ID", text)
    return re.sub(r"\d[\d,.]*(e-?\d+)?", "#", text).split("\n")


def test_there_are_three():
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_what_is_printed(name, tmp_path):
    fault = next(fault for fault in faults() if fault.script == name)
    faulty = fault.planted(fault.path.read_text(encoding="utf-8"))
    path = script(tmp_path, f"{name}.py", faulty)
    done = watch(tmp_path, path.name, options=("--controls-steps", CONTROLS_STEPS))
    shown = worded(EXAMPLES[name])
    assert worded(done.out) == shown
    assert any(f": {cause}" in shown[1] for cause in fault.causes)
