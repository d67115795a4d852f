"""Series and marks from events that are written down here."""

import numpy as np

from famulus.journal.facts.curves import marks_of, series_of


def test_a_probe_has_the_clock_of_the_log_before_it():
    events = [
        {"kind": "train", "step": 1, "inputs": 8, "s": 2.5, "values": {"total": 1.0}, "lr": 0.1},
        {
            "kind": "probe",
            "step": 1,
            "inputs": 8,
            "memory_mb": 300,
            "rank": {"layer": "a", "effective": 3.0},
        },
        {"kind": "val", "step": 2, "inputs": 16, "s": 5.0, "values": {"loss": 0.5, "odd": "x"}},
    ]
    series = series_of(events)
    assert set(series) == {"train/total", "lr", "memory (MB)", "rank of a", "val/loss"}
    assert series["memory (MB)"].seconds.tolist() == [2.5]
    np.testing.assert_array_equal(series["val/loss"].inputs, [16.0])


def test_one_mark_of_a_kind_at_a_step_the_one_with_more_words():
    events = [
        {"kind": "mark", "step": 5, "what": "resumed", "text": "resumed"},
        {"kind": "mark", "step": 5, "what": "resumed", "text": "resumed, LR 3e-4"},
        {"kind": "mark", "step": 5, "what": "grown", "text": ""},
        {"kind": "train", "step": 6},
    ]
    assert [m["text"] for m in marks_of(events)] == ["resumed, LR 3e-4", ""]
