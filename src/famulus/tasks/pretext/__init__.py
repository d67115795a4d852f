"""Pretext: questions without labels, and what they help."""

TASKS = ("pretext", "transfer")
