"""What the scores of tasks `codes` and `prior` mean.

Of a prior, bits a dimension compare across codebooks and grids; bits a code and its loss in nats a
code do not: fewer codes carry more each.
"""

from famulus.config.scores import LOSS, Score

CODES = {
    "l1": Score(unit="grey ranges", better="lower"),
    "nmse": Score(unit="variances of the pixels", better="lower"),
    "loss": LOSS,
    "recon": LOSS,
    "perplexity": Score(unit="codes", better="higher", comparable=False),
    "used_codes": Score(unit="codes", better="higher", comparable=False),
    "used_share": Score(better="higher", comparable=False),
    "commit": Score(),
    "drift": Score(),
    "kl": Score(unit="nats"),
}
PRIOR = {
    "bits_per_dim": Score(unit="bits a dimension", better="lower"),
    "nats_per_picture": Score(unit="nats a picture", better="lower"),
    "loss": Score(unit="nats a code", better="lower", comparable=False),
    "bits_per_code": Score(unit="bits a code", better="lower", comparable=False),
    "accuracy": Score(better="higher", comparable=False),
}
