"""Codes: pictures as discrete codes, and a prior over them."""

TASKS = ("codes", "prior")
