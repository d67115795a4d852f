"""QSM: susceptibility maps out of phase, by unrolled iteration."""

TASKS = ("qsm",)
