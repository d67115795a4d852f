"""What the scores of task `tiles` mean. `loss` and `recon` depend on the loss that was chosen."""

from famulus.config.scores import LOSS, Score

TILES = {
    "l1": Score(unit="grey ranges", better="lower"),
    "loss": LOSS,
    "recon": LOSS,
    "kl": Score(unit="nats"),  # small is a tight code, and nothing is a collapsed one
    "active_units": Score(),
    "snr": Score(),
    "sigma": Score(),
    "code_sd": Score(),
    "code_mean": Score(),
    "code_numbers": Score(),
}
