"""Codes: pictures as discrete codes, and a prior over them."""

from famulus.moved import in_its_file

TASKS = ("codes", "prior")
__getattr__ = in_its_file(__name__, "codes")
