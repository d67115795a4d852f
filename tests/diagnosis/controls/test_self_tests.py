"""What a task says of its own parts."""

from famulus.tasks.base import SelfTest
from tests.launch.sound import Sound, found


class KnowsItsParts(Sound):
    def self_tests(self, model, batch):
        yield SelfTest("order", True, "holds", "not-causal", "never shown")
        yield SelfTest("adjoint", False, "is off by 1", "operator-wrong", "transpose it")


def test_a_task_tests_its_parts():
    told = found(KnowsItsParts(), "self tests")
    assert (told["order"].verdict, told["order"].cause, told["order"].remedy) == ("ok", "", "")
    assert (told["adjoint"].verdict, told["adjoint"].cause) == ("failed", "operator-wrong")
    assert told["adjoint"].remedy == "transpose it"
