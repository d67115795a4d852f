"""What rivals score, over all cells."""

from famulus.journal.facts.floors import floors_of
from tests.journal.runs import record


def floor(value, means="best constant", score="loss"):
    return {"score": score, "value": value, "means": means}


def test_a_rival_has_one_line_and_a_range_where_cells_differ():
    runs = [record(floors=(floor(0.161), floor(0.5, "chance", "accuracy")))]
    runs += [record(replicate=n, floors=(floor(v),)) for n, v in ((2, 0.2), (3, 0.125))]
    assert floors_of(runs) == (
        ("best constant (loss)", "0.125 to 0.200"),
        ("chance (accuracy)", "0.500"),
    )
    assert floors_of([record()]) == ()


def test_floors_of_a_score_are_those_of_its_bare_name_too():
    one = record(
        floors=(
            floor(1, "initial loss"),
            floor(2),
            floor(3, score="val/loss"),
            floor(4, score="l1"),
        )
    )
    assert [f["value"] for f in one.floors_of("val/loss")] == [2, 3]
