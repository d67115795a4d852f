"""Scroll: cubes of a scanned volume, and ink on its surface."""

from famulus.moved import in_its_file

TASKS = ("scroll",)
__getattr__ = in_its_file(__name__, "scroll")
