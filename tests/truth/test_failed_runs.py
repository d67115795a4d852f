"""What the pages, `status` and the store say of a run that an exception ended."""

import json
import shutil

import pytest

from tests.truth import words
from tests.truth.shop import Shop


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A run that an exception ended in its fourth step."""
    from famulus.training.randomness import Streams

    shop = Shop(tmp_path_factory.mktemp("broken"))
    original = Streams.step

    def step(self, now):
        if now == 3:
            raise ZeroDivisionError("a mask without voxels")
        original(self, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Streams, "step", step)
        shop.do("run", shop.write(training__checkpoint_every={"steps": 1}), code=1)
    return shop


def test_a_failed_run_says_what_failed_and_where(broken):
    run = broken.runs()[0]
    assert run.status() == "failed"
    for text in (broken.entry().lead, broken.run_page(run).text, broken.do("status").out):
        assert "ZeroDivisionError" in text
        assert not words.has(words.NO_REASON, text)
    where = r"\b\w+\.py:\d+|\bline \d+"
    assert words.has(where, broken.run_page(run).text)
    assert words.has("a mask without voxels", broken.run_page(run).text)


def test_a_failed_run_is_recorded_with_its_exception(broken):
    from tests.truth.shop import everything

    record = everything(broken.root / broken.runs()[0].path)
    assert "ZeroDivisionError" in record
    assert "a mask without voxels" in record


def test_a_failed_run_has_a_date_and_is_over(broken):
    page = broken.entry()
    assert words.has(r"20\d\d-\d\d-\d\d", page.lead)
    assert not words.has(r"\bso far\b", page.lead)


def test_a_failed_run_took_the_time_until_it_failed(broken, tmp_path):
    """Ten seconds after its last log, which came after 7.2."""
    shop = Shop(tmp_path)
    shutil.copytree(broken.root, shop.root)
    run = shop.runs()[0]
    folder = shop.root / run.path
    for name, second in (("1.json", "00.000"), ("1.end", "17.200")):
        record = json.loads((folder / "attempts" / name).read_text())
        record["time"] = f"2026-11-20T10:00:{second}+00:00"
        record |= {"seconds": 17.2} if "seconds" in record else {}
        (folder / "attempts" / name).write_text(json.dumps(record))
    for segment in (folder / "events").rglob("*.jsonl"):
        lines = [json.loads(x) for x in segment.read_text().splitlines()]
        timed = [event | {"s": 7.2} if "s" in event else event for event in lines]
        segment.write_text("".join(json.dumps(x) + "\n" for x in timed))
    text = shop.run_page(shop.runs()[0]).lead
    assert words.has(r"\b17(\.2)? s\b", text), text
