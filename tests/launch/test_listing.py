"""`famulus status` names each run by its own cell."""

from famulus.launch.listing import status_lines


def test_one_computation_in_two_experiments_keeps_both_names():
    """An id says what is computed, and knows no experiment."""
    rows = [
        {"id": "0123456789ab", "experiment": e, "slug": s, "path": f"{e}/{s}", "status": "finished"}
        for e, s in (("a", "lr=1"), ("b", "rate=1"))
    ]
    lines = list(status_lines(rows))
    assert "lr=1" in lines[1]
    assert "rate=1" in lines[3]
