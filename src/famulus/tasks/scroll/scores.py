"""What the scores of task `scroll` mean. `bce` is that of plain labels, whatever loss trains."""

from famulus.config.scores import Score

RECON = ("loss.reconstruction", "data.scale")
LOSS = (
    *("model.kind", "model.coarse", *RECON, "loss.kl_weight", "loss.ink_weight", "loss.bce"),
    *("loss.dice", "loss.focal", "loss.tversky", "loss.gamma", "loss.alpha", "loss.beta"),
)
SCROLL = {
    "auc": Score(better="higher"),
    "f05": Score(better="higher"),
    "ap": Score(better="higher"),
    "dice": Score(better="higher"),
    "bce": Score(unit="nats a pixel", better="lower"),
    "loss": Score(better="lower", comparable=False, depends_on=LOSS),
    "recon": Score(better="lower", comparable=False, depends_on=RECON),
    "kl": Score(unit="nats"),
    "auc spread": Score(),
    "predicted prevalence": Score(),
    "prevalence": Score(),
    "noise scale": Score(unit="cubes"),
}
