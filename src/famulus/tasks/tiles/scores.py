"""What the scores of task `tiles` mean. What is in training only (free bits, a warm-up of the KL,
noise on inputs) changes no score."""

from famulus.config.scores import Score

RECON = ("loss.reconstruction", "loss.scale", "loss.histogram")
LOSS = (*RECON, "loss.kl", "loss.kl_weight", "loss.code", "model.kind")

TILES = {
    "l1": Score(unit="grey ranges", better="lower"),
    "loss": Score(better="lower", comparable=False, depends_on=LOSS),
    "recon": Score(better="lower", comparable=False, depends_on=RECON),
    "kl": Score(unit="nats"),  # small is a tight code, and nothing is a collapsed one
    "active_units": Score(),
    "snr": Score(),
    "sigma": Score(),
    "code_sd": Score(),
    "code_mean": Score(),
    "code_numbers": Score(),
}
