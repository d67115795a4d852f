"""A restart in the middle of a few steps."""

from tests.launch.sound import Counts, Sound, cause


def test_a_task_with_a_state_of_its_own_does_not_resume():
    assert cause(Sound(), "resume") == ""
    assert cause(Counts(), "resume") == "not-resumable"
