"""Figures in a sentence: as many digits as it takes to tell them apart."""

DIGITS, MOST = 4, 8


def apart(*values: float) -> list[str]:
    """Each value with so many digits that no two different ones look alike."""
    for digits in range(DIGITS, MOST):
        shown = [f"{value:.{digits}g}" for value in values]
        if len(set(shown)) == len(set(values)):
            break
    return shown


def baseline(means: str) -> str:
    """The name of a baseline for people."""
    return {
        "best constant": "best constant predictor",
        "initial loss": "theoretical initial loss",  # computed: of outputs that know nothing
    }.get(means, means)


def more(count: int, what: str) -> str:
    """`, and in 1 more layer`; empty for none."""
    return f", and {count} more {what}{'s' * (count > 1)}" if count else ""


def usual(low: float, high: float) -> str:
    """Of the size of numbers, mean and deviation added up."""
    return f"abs(mean) + deviation of {low:g} to {high:g} is usual"
