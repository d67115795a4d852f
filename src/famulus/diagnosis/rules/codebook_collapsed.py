"""Nearly all vectors choose the same few codes (K15).

Counted over a whole validation set: within a batch, few codes are no sign of a fault.
"""

from famulus.diagnosis.contract import learned
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import FEW
from famulus.diagnosis.remedy import Change, Remedy, advise, setting, together

CAUSE = "codebook-collapsed"
SUMMARY = "a few codes of the codebook serve every input: the others are dead"
USED = 0.05  # of the codebook, as perplexity
TWO = 2.0  # codes, at least: all that a codebook of few needs
SAMPLES = 3  # of a loop of one's own, the last ones
IN_USE = (
    "a codebook that starts from vectors of the encoder (k-means), and dead codes drawn anew from a"
    " batch; or vectors and codes of one scale, by a norm before the lookup"
)
GROWS = 1.3  # from one validation to the next: it is still filling


def rule(history: History) -> Finding | None:
    return _of_validations(history) or (None if history.owner.is_file else _of_loop(history))


def _of_validations(history: History) -> Finding | None:
    # until k-means has started a codebook, vectors pass by it
    rows = [e for e in history.val if "perplexity" in e["values"] and e["values"].get("started", 1)]
    if len(rows) < 2 or rows[-1]["step"] < FEW:
        return None
    last, before = rows[-1]["values"], rows[-2]["values"]
    share, used = last.get("used_share"), last.get("used_codes")
    size = used / share if share and used else _size(history)
    if not used or not (size or not history.owner.is_file):
        return None
    size, perplexity = size or used, last["perplexity"]
    # Small codebooks may need two codes; a large one that still fills is young, not dead.
    if perplexity > max(TWO, USED * size) or perplexity > GROWS * before["perplexity"]:
        return None
    drift = f", codes and vectors {last['drift']:.2g} apart" if "drift" in last else ""
    remedy = _remedy(history)
    return Finding(
        CAUSE,
        "error",
        f"at step {rows[-1]['step']:,}, {used:.0f} of {size:.0f} codes are in use over the"
        f" validation split, perplexity {perplexity:.3g} (limit {USED:.0%} of the"
        f" codebook){drift}; at the validation before, step {rows[-2]['step']:,}, perplexity was"
        f" {before['perplexity']:.3g}",
        remedy.text,
        changes=remedy.changes,
        step=rows[-1]["step"],
        consequences=("predicts-the-mean", "loss-spike", "rate-too-high", "dead-units"),
    )


def _of_loop(history: History) -> Finding | None:
    """Of the codes that a loop hands over, or of a codebook that was found."""
    known = [(p["step"], p["codebook"]) for p in history.probes if p.get("codebook")]
    last = known[-SAMPLES:]
    if len(last) < SAMPLES or last[-1][0] < FEW or learned(history):
        return None
    limits = [max(TWO, USED * min(c.get("size", 0.0), c["vectors"])) for _, c in last]
    if any(c["perplexity"] > limit for (_, c), limit in zip(last, limits, strict=True)):
        return None
    if last[-1][1]["perplexity"] > GROWS * last[0][1]["perplexity"]:
        return None
    step, codes = last[-1]
    size = f" of {codes['size']:.0f}" if codes.get("size") else ""
    return Finding(
        CAUSE,
        "error",
        f"in the last {SAMPLES} samples, up to step {step:,}, {codes['used']:.0f}{size} codes serve"
        f" the {codes['vectors']:,.0f} vectors of a batch: perplexity {codes['perplexity']:.3g}"
        f" (limit {limits[-1]:.3g})",
        IN_USE,
        step=last[0][0],
        consequences=("predicts-the-mean", "loss-spike"),
    )


def _size(history: History) -> float:
    """Of the codebook, if a batch told; else 0."""
    known = [probe["codebook"].get("size") for probe in history.probes if probe.get("codebook")]
    return float(known[-1] or 0.0) if known else 0.0


def _remedy(history: History) -> Remedy:
    """What is known to keep codes in use; a smaller codebook where all of that is in force."""
    owner = history.owner
    model = history.section("model")
    reset = "starts by k-means and draws dead codes anew"
    steps = []
    if model.get("last_activation"):
        steps.append(
            setting("model.last_activation", False, why="a ReLU keeps vectors from half the codes")
        )
    if model.get("kind", "vqvae") == "vqvae":
        steps.append(setting("model.project", True))
    if owner.value("model.quantiser.kind") == "gradient":
        steps.append(setting("model.quantiser.kind", "ema", why=reset))
    remedy = advise(owner, *steps)
    if remedy.text:
        return remedy
    size = owner.value("model.quantiser.size", 0)
    smaller = [setting("model.quantiser.size", size // 4)] if size >= 8 else []
    no_codebook = together(
        Change("model.quantiser.kind", "fsq"), why="finite scalar quantization has no codebook"
    )
    remedy = advise(owner, *smaller, no_codebook)
    return remedy if remedy.text else Remedy(IN_USE)
