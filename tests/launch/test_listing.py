"""`famulus status` tells apart what has one slug: forks, repetitions, runs of another --set."""

from famulus.launch.listing import status_lines

ROW = {"experiment": "e", "slug": "lr=0.001", "status": "finished", "overrides": None}


def row(n, **more):
    return {**ROW, "id": f"{n:012x}", "path": f"e/lr=0.001-{n:012x}", **more}


def test_each_of_four_runs_has_a_name_of_its_own():
    parent = "e/lr=0.001-1a2b3c4d5e6f"
    lines = list(status_lines([
        row(1),
        row(2, set=["training.inputs=64", "matrix.lr=[0.001]"]),
        row(3, repeats="1a2b3c4d5e6f"),
        row(4, parent=parent, overrides=["training.epochs=null", "training.optimizer.lr=0.01"]),
    ]))  # fmt: skip
    names = [line[16:].partition("  finished")[0].strip() for line in lines[1:]]
    assert names == [
        "lr=0.001",
        "lr=0.001 + training.inputs=64",
        "lr=0.001 (repeats 1a2b3c)",
        "1a2b3c + training.optimizer.lr=0.01",
    ]


def test_a_run_alone_needs_no_more_than_its_slug():
    (_, line) = status_lines([row(1, set=["training.inputs=64"])])
    assert "training.inputs" not in line


def test_the_causes_stand_behind_the_reason_that_does_not_name_them():
    causes = [{"cause": "loss-not-finite", "severity": "error"},
              {"cause": "rate-too-high", "severity": "error"}]  # fmt: skip
    (_, plain) = status_lines([row(1, findings=causes)])
    assert plain.endswith("loss-not-finite (error), 1 more")
    (_, named) = status_lines([row(1, findings=causes, reason="loss-not-finite: recon = nan")])
    assert named.endswith("loss-not-finite: recon = nan")
