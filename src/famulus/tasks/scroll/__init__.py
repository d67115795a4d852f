"""Scroll: cubes of a scanned volume, and ink on its surface."""

TASKS = ("scroll",)
