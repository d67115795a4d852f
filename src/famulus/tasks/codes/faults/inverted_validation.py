"""Codes, of pictures white on black in training and black on white in validation."""

from famulus.feed.source import Splits
from famulus.tasks.codes.codes import Codes
from famulus.tasks.faulty_source import inverted


class InvertedValidation(Codes):
    def data(self) -> Splits:
        return inverted(super().data())
