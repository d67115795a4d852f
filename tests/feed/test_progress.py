"""Lines about work that takes long: now and then, and never among the results."""

import numpy as np

from famulus.feed import progress


def test_long_work_is_told_every_ten_seconds_and_short_work_never():
    for step_s, lines in ((0.001, []), (4.0, [
        "work: 30 of 100, about 28 s left",  # three parts took 12 s, seven are left
        "work: 60 of 100, about 16 s left",
        "work: 90 of 100, about 4 s left",
    ])):  # fmt: skip
        said, now, parts = [], [0.0], []
        for part in progress.parts(100, 10, "work", said.append, lambda now=now: now[0]):
            parts.append(np.arange(part.start, part.stop))
            now[0] += step_s
        assert np.array_equal(np.concatenate(parts), np.arange(100))
        assert said == lines


def test_what_is_told_stays_out_of_the_answer(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    assert [part.stop for part in progress.parts(5, 2, "work", clock=iter(range(9)).__next__)] == [
        2,
        4,
        5,
    ]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1] == "work: 4 of 5, about 1 s left"
