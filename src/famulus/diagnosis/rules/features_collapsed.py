"""Every input gets the same features (K14). Source: RankMe, Garrido et al. 2022, arXiv 2210.02885.

The spread is that of features of length 1, over inputs; independent directions have 1/sqrt(d).
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Change, advise, norm, together

CAUSE = "features-collapsed"
SUMMARY = "an encoder gives every input the same features"
RANK = 1.5  # effective rank of the features of a validation set
SPREAD = 0.01
COSINE = 0.998  # of different inputs: even features that are not centred stay below


def rule(history: History) -> Finding | None:
    last = next((e for e in reversed(history.val) if "feature_rank" in e["values"]), None)
    if last is None or len(history.val) < 2:
        return None
    rank = float(last["values"]["feature_rank"])
    spread = float(last["values"].get("feature_std", 1.0))
    cosine = float(last["values"].get("feature_cosine", 0.0))
    if rank >= RANK and spread >= SPREAD and cosine < COSINE:
        return None
    alike = f", cosine of different pictures {cosine:.4f} (limit {COSINE})"
    remedy = advise(
        history.owner,
        together(
            Change("data.pretext", "contrastive"),
            Change("model.head.kind", "projection"),
            Change("loss.kind", "info_nce"),
            why="it pushes different pictures apart",
            words="a loss that pushes different pictures apart",
        ),
        norm(),
    )
    return Finding(
        CAUSE,
        "error",
        f"features of the validation split at step {last['step']:,}: effective rank {rank:.2f}"
        f" (limit {RANK}), spread {spread:.2g} (limit {SPREAD}){alike}",
        remedy.text,
        changes=remedy.changes,
        step=last["step"],
    )
