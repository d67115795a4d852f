"""Nearly all vectors choose the same few codes (K15).

Counted over a whole validation set: within a batch, few codes are no sign of a fault.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import FEW
from famulus.diagnosis.remedy import Change, Remedy, advise, setting, together

CAUSE = "codebook-collapsed"
SUMMARY = "a few codes of the codebook serve every input: the others are dead"
USED = 0.05  # of the codebook, as perplexity
GROWS = 1.3  # from one validation to the next: it is still filling


def rule(history: History) -> Finding | None:
    # until k-means has started a codebook, vectors pass by it
    rows = [e for e in history.val if "perplexity" in e["values"] and e["values"].get("started", 1)]
    if len(rows) < 2 or rows[-1]["step"] < FEW:
        return None
    last, before = rows[-1]["values"], rows[-2]["values"]
    share, used = last.get("used_share"), last.get("used_codes")
    if not share or not used:
        return None
    size, perplexity = used / share, last["perplexity"]
    # Small codebooks may need two codes; a large one that still fills is young, not dead.
    if perplexity > max(2.0, USED * size) or perplexity > GROWS * before["perplexity"]:
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
    words = "a smaller codebook, k-means at the start, dead codes drawn anew"
    remedy = advise(owner, *smaller, no_codebook)
    return remedy if remedy.text else Remedy(words)
