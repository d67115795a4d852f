"""Nearly all vectors choose the same few codes (K15).

Counted over a whole validation set: within a batch, few codes are no sign of a fault.
"""

from typing import Any

from famulus.diagnosis.history import Finding, History

CAUSE = "codebook-collapsed"
SUMMARY = "a few codes of the codebook serve every input: the others are dead"
USED = 0.05  # of the codebook, as perplexity
GROWS = 1.3  # from one validation to the next: it is still filling


def rule(history: History) -> Finding | None:
    rows = [e for e in history.val if "perplexity" in e["values"]]
    if len(rows) < 2:
        return None
    last, before = rows[-1]["values"], rows[-2]["values"]
    share, used = last.get("used_share"), last.get("used_codes")
    if not share or not used:
        return None
    size, perplexity = used / share, last["perplexity"]
    # Small codebooks may need two codes; a large one that still fills is young, not dead.
    if perplexity > max(2.0, USED * size) or perplexity > GROWS * before["perplexity"]:
        return None
    drift = f"; codes and vectors are {last['drift']:.2g} apart" if "drift" in last else ""
    return Finding(
        CAUSE,
        "error",
        f"{used:.0f} of {size:.0f} codes are in use over the validation set, perplexity"
        f" {perplexity:.3g} (limit {USED:.0%} of the codebook) after {rows[-1]['inputs']:,} inputs,"
        f" {before['perplexity']:.3g} at the validation before{drift}",
        _remedy(history.config.get("model", {})),
        step=rows[-1]["step"],
        consequences=("predicts-the-mean", "loss-spike", "rate-too-high", "dead-units"),
    )


def _remedy(model: dict[str, Any]) -> str:
    advice = []
    if model.get("last_activation") and model.get("activation") in ("relu", "leaky_relu"):
        advice.append(
            "model.last_activation: false (vectors after a ReLU can't reach half the codes)"
        )
    if not model.get("project", True):
        advice.append("model.project: true")
    quantiser = model.get("quantiser") or {}
    if quantiser.get("kind") == "gradient":
        advice.append("model.quantiser.kind: ema, which starts by k-means and resets dead codes")
    return "; ".join(advice) or "a smaller model.quantiser.size, or model.quantiser.kind: fsq"
