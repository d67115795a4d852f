"""What will the run cost? A few steps, a short validation and the pictures, on a copy."""

from collections.abc import Iterator

from famulus.diagnosis.controls.bench import Bench, Check, Control, updates

NAME = "forecast"


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    cost, figures = bench.forecast()
    text = f"about {cost} for {bench.slug} in fp32; {bench.cells} cell{'s' * (bench.cells != 1)}"
    yield Control(NAME, "ok", text, figures=figures)


CHECK = Check(NAME, run, wanted=updates(10), least=updates(10))
