"""What the scores of tasks `pretext` and `transfer` mean.

A pretext's accuracy is that of its own question (`means` among the facts of a run). Cells that ask
different ones are ranked by what their features are good for: `knn`, where pictures have labels.
"""

from famulus.config.scores import LOSS, Score

PRETEXT = {
    "accuracy": Score(better="higher"),
    "knn": Score(better="higher"),
    "mae": Score(unit="weights", better="lower"),
    "loss": LOSS,
    "feature_rank": Score(unit="dimensions", better="higher", comparable=False),
    "feature_std": Score(better="higher", comparable=False),
    "feature_cosine": Score(better="lower", comparable=False),
    "spread": Score(),
    "train_mode_gap": Score(),
    "without": Score(better="higher", comparable=False),  # without_colour, ...
    "colour_share": Score(better="lower", comparable=False),  # of the accuracy: a shortcut's
    "detail_share": Score(better="lower", comparable=False),
    "seam_share": Score(better="lower", comparable=False),
}
TRANSFER = {
    "accuracy": Score(better="higher"),
    "balanced_accuracy": Score(better="higher"),
    "knn": Score(better="higher"),
    "loss": Score(unit="nats", better="lower"),  # always the cross-entropy
}
