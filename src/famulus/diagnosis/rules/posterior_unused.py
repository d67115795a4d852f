"""The posterior has no noise: an autoencoder trains, and the prior is not that of its codes."""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import FEW
from famulus.diagnosis.posterior import posterior
from famulus.diagnosis.remedy import Change, advise, setting, significant, together

CAUSE = "posterior-unused"
SUMMARY = "the posterior's noise is off: a VAE has become an autoencoder, draws show nothing"
SAMPLES = 3  # of a loop of one's own, the last ones
NEXT_TO_NOTHING = 0.03  # mean sigma in such a loop, which may want precise codes
OFF = 0.1  # mean sigma below which the noise is off; a weak but working prior leaves .3 and more


def rule(history: History) -> Finding | None:
    if not history.owner.is_file:
        return _of_loop(history)
    found = posterior(history)
    if found is None or found.sigma >= OFF:
        return None
    spread = found.snr * found.sigma
    legacy = found.formula == "legacy"
    elbo = [Change("loss.reconstruction", "laplace"), Change("loss.kl_weight", 1.0)]
    if legacy:
        elbo = [Change("loss.kl", "textbook"), elbo[0]]
    remedy = advise(
        history.owner,
        together(*elbo, why="keep legacy only to compare with old results" if legacy else ""),
        *([] if legacy else [setting("loss.kl_weight", significant(10 * found.weight))]),
    )
    why = " (legacy takes sigma for a log-variance: least at sigma 0)" if legacy else ""
    return Finding(
        CAUSE,
        "warning",
        f"mean sigma {found.sigma:.2g} after {found.inputs:,} samples where the prior has 1{why};"
        f" codes spread by about {spread:.2g}, so a draw from N(0, 1) lies where the decoder has"
        " never been",
        remedy.text,
        changes=remedy.changes,
        step=found.step,
    )


def _of_loop(history: History) -> Finding | None:
    """Of a loop of one's own, as its codes are found or handed over."""
    known = [(probe["step"], probe["code"]) for probe in history.probes if probe.get("code")]
    last = known[-SAMPLES:]
    if len(last) < SAMPLES or last[-1][0] < FEW or history.opposed:
        return None
    if any(code["sigma"] >= NEXT_TO_NOTHING for _, code in last):
        return None
    step, code = last[-1]
    return Finding(
        CAUSE,
        "warning",
        f"in the last {SAMPLES} samples, up to step {step:,}, mean sigma of the code is"
        f" {code['sigma']:.2g}, where the prior has 1, and the KL is {code['kl']:.3g} nats a"
        " sample: a draw from N(0, 1) lies where the decoder has never been",
        "a larger weight of the KL: 1, where the reconstruction is a log density summed over the"
        " numbers of a sample",
        step=step,
    )
