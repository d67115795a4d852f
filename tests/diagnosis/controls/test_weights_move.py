"""Which weights move, and which stand still by a fault or by a setting."""

import pytest
from torch import nn
from torch.nn import functional as F

from famulus.diagnosis.controls.weights_move import Weight, moves
from famulus.tasks.base import Changes, Facts
from tests.launch.sound import Sound, cause, found


def test_a_gradient_too_small_to_move_anything():
    def weight(moved, largest):
        return Weight("w", True, True, 9, True, True, moved, largest)

    assert moves([weight(True, 1.0)], [], 3).cause == ""
    assert moves([weight(True, 1.0), weight(False, 1e-12)], [], 3).cause == "vanishing-gradient"
    assert moves([weight(True, 1.0), weight(False, 1e-2)], [], 3).cause == "weights-do-not-move"


class Halved(nn.Module):
    """Two branches; the second one's answer is thrown away by a detach."""

    def __init__(self):
        super().__init__()
        self.heard, self.lost = nn.Linear(16, 3), nn.Linear(16, 3)

    def forward(self, image):
        flat = image.flatten(1)
        return self.heard(flat) + self.lost(flat).detach()


class LostBranch(Sound):
    def build(self):
        return Halved()


class OpenlyFrozen(LostBranch):
    def build(self):
        model = super().build()
        model.lost.requires_grad_(False)
        return model


class NotHeld(Sound):
    def param_groups(self, model):
        return [{"params": list(model[-1].parameters())}]


class FrozenNorm(Sound):
    def build(self):
        model = super().build()
        model[:3].requires_grad_(False)
        return model


class FrozenInEval(FrozenNorm):
    def on_inputs(self, model, at):
        model[:3].eval()


class Growing(LostBranch):
    def facts(self):
        return Facts(changes=Changes("growth", 1000))


MOVES = {
    LostBranch: "weights-do-not-move",
    OpenlyFrozen: "",
    NotHeld: "weights-do-not-move",
    FrozenNorm: "frozen-statistics-move",
    FrozenInEval: "",
    Growing: "",
}


@pytest.mark.parametrize(
    ("kind", "expected"), MOVES.items(), ids=lambda v: getattr(v, "__name__", v)
)
def test_which_weights_move(kind, expected):
    assert cause(kind(), "weights move") == expected


def test_a_rate_of_zero_moves_nothing():
    still = {"optimizer": {"name": "sgd", "lr": 0.0}}
    assert cause(Sound(), "weights move", **still) == "weights-do-not-move"


class LabelledInVain(Sound):
    """A layer for labels where there are none: its gradient is 0, and that is no fault."""

    def build(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.main, self.label = nn.Linear(16, 3), nn.Linear(4, 3, bias=False)

            def forward(self, image):
                return self.main(image.flatten(1)) + self.label(image.new_zeros(len(image), 4))

        return Net()


class Multiplied(OpenlyFrozen):
    """All but a bias is multiplied by 0."""

    def loss(self, model, batch, at):
        answer = model(batch["image"]) * 0 + model.heard.bias
        return {"total": F.cross_entropy(answer, batch["label"])}


def test_a_gradient_of_exactly_zero():
    told = found(LabelledInVain(), "weights move")["weights move"]
    assert (told.verdict, "label.weight" in told.text) == ("ok", True)
    assert cause(Multiplied(), "weights move") == "weights-do-not-move"
