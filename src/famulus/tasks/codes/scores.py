"""What the scores of tasks `codes` and `prior` mean.

Of a prior, bits a dimension compare across codebooks and grids; bits a code and its loss in nats a
code do not: fewer codes carry more each.
"""

from famulus.config.scores import Score

RECON = ("loss.reconstruction", "loss.scale", "data.scaling")
LOSS = (*RECON, "loss.commit_weight", "loss.kl_weight", "model.kind")
BOOK = ("model.quantiser",)
CODED = ("codes", "data.levels")
CODES = {
    "l1": Score(unit="grey ranges", better="lower"),
    "nmse": Score(unit="variances of the pixels", better="lower", depends_on=("data.scaling",)),
    "loss": Score(better="lower", comparable=False, depends_on=LOSS),
    "recon": Score(better="lower", comparable=False, depends_on=RECON),
    "perplexity": Score(unit="codes", better="higher", comparable=False, depends_on=BOOK),
    "used_codes": Score(unit="codes", better="higher", comparable=False, depends_on=BOOK),
    "used_share": Score(better="higher", comparable=False, depends_on=BOOK),
    "commit": Score(),
    "drift": Score(),
    "started": Score(),  # 0 until k-means has made the codebook: z passes unquantised
    "kl": Score(unit="nats"),
}
PRIOR = {
    "bits_per_dim": Score(unit="bits a dimension", better="lower", depends_on=("data.levels",)),
    "nats_per_picture": Score(unit="nats", better="lower", depends_on=("data.levels",)),
    "loss": Score(unit="nats a code", better="lower", comparable=False, depends_on=CODED),
    "bits_per_code": Score(unit="bits", better="lower", comparable=False, depends_on=CODED),
    "accuracy": Score(better="higher", comparable=False, depends_on=CODED),
}
