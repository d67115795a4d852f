"""Transfer, with an encoder that is frozen by requires_grad alone: its norms go on to learn.

Journal, 9/3 and 9/6; pytorch/pytorch#86590.
"""

from torch import nn

from famulus.tasks.pretext.transfer import Transfer


class FrozenByGradient(Transfer):
    def build(self) -> nn.Module:
        model = super().build()
        for parameter in model.encoder.parameters():
            parameter.requires_grad_(False)
        return model
