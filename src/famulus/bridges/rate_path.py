"""How often a learning rate changes between two logs, and how often it goes up again.

A log shows the rate at its own step. Whether a schedule took it there in one go or with every
update, and whether it came back from near zero between two logs, only the updates know.
"""


class RatePath:
    def __init__(self) -> None:
        self._rate: float | None = None
        self._falls = False
        self._changes = self._turns = 0

    def add(self, rate: float) -> None:
        """The rate of an update."""
        before, self._rate = self._rate, rate
        if before is None or rate == before:
            return
        self._changes += 1
        self._turns += self._falls and rate > before
        self._falls = rate < before

    def take(self) -> dict[str, int]:
        """`lr_changes`, `lr_turns` (from down to up) since the last call; {} without a change."""
        changes, turns = self._changes, self._turns
        self._changes = self._turns = 0
        return {"lr_changes": changes, "lr_turns": turns} if changes else {}
