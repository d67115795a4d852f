"""Is the net fed as fast as it learns (K21)? The same steps, fed live and from a cached batch."""

from collections.abc import Callable

from famulus.diagnosis.controls import Control

LIMIT = 0.25  # share of a step spent waiting


def loader(fetch_s: Callable[[], float], step_s: Callable[[], float], batch: int) -> Control:
    """`fetch_s()`: seconds of one batch from the feeder; `step_s()`: of one step on a cached one.

    Both are medians taken by the caller.
    """
    fetch, step = fetch_s(), step_s()
    share = fetch / (fetch + step)
    figures = {"fetch_s": fetch, "step_s": step, "wait_share": share}
    text = (
        f"loader {batch / fetch:,.0f} inputs/s, training step {batch / step:,.0f} inputs/s:"
        f" {share:.1%} of the time would be waiting"
    )
    if share < LIMIT:
        return Control("loader speed", "ok", text, figures=figures)
    return Control(
        "loader speed",
        "warning",
        text,
        "training.workers: 4, or convert the set once (famulus data convert)",
        figures,
        "loader-bound",
    )
