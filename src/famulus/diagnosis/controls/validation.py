"""Is validation a function of the weights alone, in eval mode, leaving no trace (K4)?"""

from collections.abc import Mapping, Sequence

from famulus.diagnosis.controls import Control

NAME = "validation"
DRAWN = 0.02  # relative difference that sampled noise may make


def validation(
    first: Mapping[str, float],
    second: Mapping[str, float],
    training: Sequence[str],
    changed: Sequence[str],
) -> Control:
    """Scores of two validations under different random numbers.

    `training`: modules that ran in training mode though they behave otherwise there; `changed`:
    buffers and weights that validating has changed.
    """
    gaps = {
        name: abs(first[name] - second[name]) / max(abs(first[name]), abs(second[name]), 1e-12)
        for name in first
        if first[name] == first[name] and first[name] != second.get(name)
    }
    figures = {"training": list(training)[:8], "changed": list(changed)[:8], "gaps": gaps}
    if training:
        text = f"{training[0]} runs in training mode while validating"
        remedy = "call the net that is handed to scores, in the mode that it has"
        return Control(NAME, "failed", text, remedy, figures, "train-eval-gap")
    if changed:
        text = f"validating changes {changed[0]}"
        remedy = "validate in eval mode and without side effects"
        return Control(NAME, "failed", text, remedy, figures, "train-eval-gap")
    if gaps:
        name = max(gaps, key=lambda n: gaps[n])
        text = f"two validations of the same weights: {name} differs by {gaps[name]:.1%}"
        if gaps[name] > DRAWN:
            remedy = "draw validation's noise from the sample's index, not anew each time"
            return Control(NAME, "warning", text, remedy, figures, "train-eval-gap")
        return Control(NAME, "ok", f"{text}: noise that is drawn", figures=figures)
    return Control(NAME, "ok", "two validations are equal, in eval mode", figures=figures)
