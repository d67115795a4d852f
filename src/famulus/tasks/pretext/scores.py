"""What the scores of tasks `pretext` and `transfer` mean.

A pretext's accuracy is that of its own question. Cells that ask different ones are ranked by what
their features are good for: `knn`, where the pictures have labels.
"""

from famulus.config.scores import Score

QUESTION = (
    *("data.pretext", "data.target", "data.sources", "data.mixed", "data.alpha", "data.least"),
    *("data.copy", "data.grid", "data.patch", "data.positive", "data.fixed", "data.candidates"),
)
PRETEXT = {
    "accuracy": Score(better="higher", depends_on=QUESTION),
    "knn": Score(better="higher"),
    "mae": Score(unit="weights", better="lower", depends_on=QUESTION),
    "loss": Score(better="lower", comparable=False, depends_on=("loss", *QUESTION)),
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
