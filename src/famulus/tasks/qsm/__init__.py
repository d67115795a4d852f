"""QSM: susceptibility maps out of phase, by unrolled iteration."""

from famulus.moved import in_its_file

TASKS = ("qsm",)
__getattr__ = in_its_file(__name__, "qsm")
