"""Layers follow each other with nothing between: together they are one linear layer."""

from famulus.diagnosis.contract import EVERYTHING, graph, learned, left
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.remedy import advise, line

CAUSE = "no-hidden-activation"
SUMMARY = "no activation stands between any two layers: the model is one linear map"


def rule(history: History) -> Finding | None:
    found = graph(history)
    pairs, direct = found.get("pairs", 0), found.get("direct", 0)
    # A linear map may be all that the task needs: then it is no fault.
    if not pairs or direct < pairs or learned(history):
        return None
    remain = left(history)
    if remain is None and of_history(history).gained(0.05):
        return None
    rest = ""
    if remain is not None:
        rest = f"; {remain:.0%} of the best constant predictor's error is left in the last batches"
    return Finding(
        CAUSE,
        "warning",
        f"{direct} of {pairs} layers that follow another one get its output as it is: the model is"
        f" one linear map{rest}",
        advise(history.owner, line("nn.ReLU()", "after each layer but the last")).text,
        step=0,
        consequences=EVERYTHING,
    )
