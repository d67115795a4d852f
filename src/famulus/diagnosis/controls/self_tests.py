"""What a task knows of its own parts: a task knows its own mistakes best."""

from collections.abc import Iterator

from famulus.diagnosis.controls.bench import Bench, Check, Control


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    for test in bench.self_tests(bench.net().model):
        verdict, cause = ("ok", "") if test.passed else ("failed", test.cause)
        yield Control(test.name, verdict, test.text, "" if test.passed else test.remedy, {}, cause)


CHECK = Check("self tests", run, wanted=lambda bench: 0.4)
