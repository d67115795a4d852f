"""One short file a cause: CAUSE, SUMMARY, and `rule(history) -> Finding | None`, pure."""
