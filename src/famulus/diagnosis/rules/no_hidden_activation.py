"""Layers follow each other with nothing between: together they are one linear layer."""

from famulus.diagnosis.contract import EVERYTHING, graph, learned, left
from famulus.diagnosis.history import Finding, History

CAUSE = "no-hidden-activation"
SUMMARY = "no activation stands between any two layers: the net is one linear map"


def rule(history: History) -> Finding | None:
    found = graph(history)
    pairs, direct = found.get("pairs", 0), found.get("direct", 0)
    # A linear map may be all that the task needs: then it is no fault.
    if not pairs or direct < pairs or learned(history):
        return None
    remain = left(history)
    more = "" if remain is None else f"; {remain:.0%} of a constant's error is left"
    return Finding(
        CAUSE,
        "warning",
        f"{direct} of {pairs} layers get the output of another one as it is: the net is one linear"
        f" map{more}",
        "an activation (relu) after each layer but the last",
        step=0,
        consequences=EVERYTHING,
    )
