"""Whose weights an optimizer holds, told from what a script called."""

from torch import nn
from torch.optim import SGD

from famulus.bridges.watch.models import Parts, joined, model_of, weights_of


class Pair(nn.Module):
    """Both nets of a GAN in one module, as libraries want it."""

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = nn.Linear(2, 3), nn.Linear(3, 1)


def found(optimizers, called):
    return joined([model_of(weights_of(o), called) for o in optimizers], ["g", "d"])


def test_a_module_that_holds_the_other_models_is_the_model():
    pair = Pair()
    optimizers = [SGD(part.parameters(), lr=0.1) for part in (pair.generator, pair.discriminator)]
    for called in ([pair, pair.discriminator], [pair.discriminator, pair], [pair]):
        assert found(optimizers, called) is pair
    assert joined([pair.discriminator, pair]) is pair


def test_models_side_by_side_keep_the_names_of_their_author():
    g, d = nn.Linear(2, 3), nn.Linear(3, 1)
    both = found([SGD(g.parameters(), lr=0.1), SGD(d.parameters(), lr=0.1)], [g, d])
    assert isinstance(both, Parts)
    assert dict(both.named_children()) == {"g": g, "d": d}
