"""Codes, with an optimizer that was handed the decoder alone."""

from typing import Any

from torch import nn

from famulus.tasks.codes.codes import Codes


class PartOfTheNet(Codes):
    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(model.decoder.parameters())}]
