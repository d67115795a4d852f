"""What the scores of task `scroll` mean. `bce` is that of plain labels, whatever loss trains."""

from famulus.config.scores import LOSS, Score

SCROLL = {
    "auc": Score(better="higher"),
    "f05": Score(better="higher"),
    "ap": Score(better="higher"),
    "dice": Score(better="higher"),
    "bce": Score(unit="nats a pixel", better="lower"),
    "loss": LOSS,
    "recon": LOSS,
    "kl": Score(unit="nats"),
    "auc spread": Score(),
    "predicted prevalence": Score(),
    "prevalence": Score(),
    "noise scale": Score(unit="cubes"),
}
