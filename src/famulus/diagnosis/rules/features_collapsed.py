"""Every input gets the same features (K14). Source: RankMe, Garrido et al. 2022, arXiv 2210.02885.

The spread is that of features of length 1, over inputs; independent directions have 1/sqrt(d).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from famulus.diagnosis.contract import EVERYTHING, forms, graph
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import FEW
from famulus.diagnosis.remedy import Change, advise, line, norm, together

CAUSE = "features-collapsed"
SUMMARY = "an encoder gives every input the same features"
RANK = 1.5  # effective rank of the features of a validation set
SPREAD = 0.01
SAMPLES = 3  # of a loop of one's own, the last ones
FELL, NEAR = 0.5, 0.8  # of the first sample's spread; cosine
APART = (
    "a loss that pushes different samples apart; or a stop-gradient and a predictor (SimSiam), or a"
    " variance term (VICReg)"
)
SAME = 1e-6  # of the largest feature: the views are one
UNIT = 1e-3  # from length 1
COSINE = 0.998  # of different inputs: even features that are not centred stay below


def rule(history: History) -> Finding | None:
    return _of_validations(history) or (None if history.owner.is_file else _of_loop(history))


def _of_validations(history: History) -> Finding | None:
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


def _of_loop(history: History) -> Finding | None:
    """Of features that a loop hands over, or that a net ends in where nothing is its target."""
    if history.opposed:
        return None
    known = [
        (probe["step"], probe["features"]) for probe in history.probes if probe.get("features")
    ]
    if not known and not any("left" in form for form in forms(history)):
        known = [(probe["step"], probe["end"]) for probe in history.probes if probe.get("end")]
    last = known[-SAMPLES:]
    if len(last) < SAMPLES or last[-1][0] < FEW:
        return None
    step, now = last[-1]
    rows = line("z = F.normalize(z, dim=1)", "the length of each sample's features")
    if graph(history).get("normed_over_batch") or all(_over_batch(f) for _, f in last):
        text = "features are of length 1 over the samples of a batch, not each sample's"
        remedy = advise(history.owner, rows).text
    elif all(f.get("views", 1.0) <= SAME for _, f in last):
        text = f"both views have the same features in {SAMPLES} samples: they are one view"
        remedy = "augment each view by itself, with random numbers of its own"
    elif known[0][1] is not now and _falls(known):
        text = f"features of different samples spread by {known[0][1]['spread']:.2g} in the first"
        text += (
            f" sample and by {now['spread']:.2g} now (1 where they are independent), with a mean"
        )
        text += f" cosine of {now['cosine']:.3f}"
        remedy = APART
    elif all(f["cosine"] >= COSINE for _, f in last):
        text = f"features of different samples have a mean cosine of {now['cosine']:.4f} (limit"
        text += f" {COSINE}) and spread by {now['spread']:.2g} (1 where they are independent)"
        remedy = APART
    else:
        return None
    return Finding(
        CAUSE,
        "error",
        f"{text}; up to step {step:,}",
        remedy,
        step=last[0][0],
        consequences=EVERYTHING,
    )


def _falls(known: Sequence[tuple[int, Mapping[str, Any]]]) -> bool:
    """Do features that a loop hands over come nearer to each other, sample by sample?"""
    spreads = [figures["spread"] for _, figures in known[-SAMPLES:]]
    handed_over = "columns" in known[-1][1]
    near = known[-1][1]["cosine"] >= NEAR and spreads[-1] < FELL * known[0][1]["spread"]
    return handed_over and near and spreads == sorted(spreads, reverse=True)


def _over_batch(figures: Mapping[str, Any]) -> bool:
    columns, rows = figures.get("columns"), figures.get("rows")
    return columns is not None and rows is not None and columns < UNIT < rows
