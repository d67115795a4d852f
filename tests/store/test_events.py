"""The visible line against a model that just remembers what a person should see."""

import json
import uuid

from hypothesis import given, settings
from hypothesis import strategies as st

from famulus.store import Store, events, layout
from famulus.store.claims import claim

moves = st.lists(st.sampled_from(["step", "step", "flush", "save", "die", "prune"]), max_size=30)


@given(moves)
@settings(deadline=None, max_examples=60)
def test_the_line_is_what_a_person_should_see(which):
    """Model: `seen` is the history; a checkpoint keeps a copy, and a death goes back to the last.

    What was emitted and not flushed before a death is lost.
    """
    run = Store.open(f"memory://{uuid.uuid4().hex}").create_run("e", "s", "0" * 12, {})
    seen, pending, saved, step, number = [], [], [], 0, 0
    attempt = claim(run)
    for move in which:
        if move == "step":
            step, number = step + 1, number + 1
            pending.append((step, number))
            attempt.emit({"kind": "train", "step": step, "number": number})
        elif move in ("flush", "save"):
            seen, pending = seen + pending, []
            if move == "flush":
                attempt.flush()
            elif not saved or saved[-1][0] < step:
                attempt.save_checkpoint(step, {}, {})
                saved.append((step, list(seen)))
            else:
                attempt.flush()
        elif move == "prune" and saved:
            attempt.prune({saved[-1][0]})
            saved = saved[-1:]
        elif move == "die":
            attempt.close()
            run.files.create(layout.ended(run.path, attempt.n), b'{"reason": "interrupted"}')
            attempt = claim(run)
            step, seen = saved[-1] if saved else (0, [])
            seen, pending = list(seen), []
            assert attempt.start_from == (step if saved else None)
    attempt.close()
    line = [(e["step"], e["number"]) for e in run.events()]
    assert line == seen
    assert [s for s, _ in line] == sorted({s for s, _ in line})  # no step twice


def naive(origins, last):
    """All attempts, whole: what a reader without the rule would show."""
    return [(n, None) for n in sorted(origins)]


def test_all_attempts_whole_would_double_points():  # proof that the rule is needed
    origins = {1: None, 2: (1, 1)}
    assert events.visible(origins, 2) == [(1, 1), (2, None)] != naive(origins, 2)


def test_an_attempt_without_progress_leaves_no_trace():
    assert events.visible({1: None, 2: (1, 4), 3: (1, 4)}, 3) == [(1, 4), (3, None)]
    assert events.visible({1: None, 2: (1, 4), 3: None}, 3) == [(3, None)]


def test_a_circle_ends():
    assert events.visible({1: (2, 0), 2: (1, 5)}, 2) == [(1, 5), (2, None)]
    assert events.visible({1: (1, 5)}, 1) == [(1, None)]


@given(st.lists(st.integers(), min_size=1, max_size=5), st.integers(min_value=0))
def test_a_torn_tail_costs_one_line_at_most(numbers, cut):
    data = events.encode([{"kind": "train", "step": n} for n in numbers])
    torn = data[: cut % (len(data) + 1)]
    whole = torn.count(b"\n")
    got = [event["step"] for event in events.decode(torn)]
    assert got[:whole] == numbers[:whole]
    assert len(got) <= whole + 1
    if torn.endswith(b"}"):  # only the newline is missing
        assert got == numbers[: whole + 1]


def test_other_damage_is_left_out():
    good = json.dumps({"kind": "val", "step": 1}).encode()
    data = b"\n".join([good, b"\xff\xfe", b"{", b"[1]", b'{"no": "kind"}', b"", good])
    assert len(list(events.decode(data))) == 2


def test_a_torn_segment_of_a_run(run):
    attempt = claim(run)
    for step in (1, 2):
        attempt.emit({"kind": "train", "step": step})
        attempt.flush()
    attempt.close()
    path = layout.segment(run.path, 1, 1)
    run.files.write(path, run.files.read(path)[:-3])
    assert [event["step"] for event in run.events()] == [1]
