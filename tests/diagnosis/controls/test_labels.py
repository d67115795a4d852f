"""Labels: other classes, other shares, other numbers."""

import numpy as np

from tests.launch.sound import Sound, cause, found, rows


def test_labels():
    def labels(validation):
        return cause(Sound(None, validation), "labels")

    assert labels(rows(90, 1)) == ""
    assert labels(rows(90, 1, classes=("right", "left", "both"))) == "labels-differ"
    assert labels(rows(90, 1, labels=np.full(90, 3))) == "labels-differ"
    assert labels(rows(90, 1, labels=np.zeros(90, np.int64))) == "split-differs"
    renumbered = rows(90, 1)
    renumbered.labels[:] = np.array([1, 2, 0])[renumbered.labels]
    assert labels(renumbered) == "labels-differ"
    told = found(Sound(None, renumbered), "labels")["labels"]
    assert "right is left" in told.text
    assert told.figures["renumbered"] > 0.8 > 0.2 > told.figures["nearest_mean"]
