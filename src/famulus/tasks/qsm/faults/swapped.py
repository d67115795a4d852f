"""Fields as maps and maps as fields: input and target change places (QSM journal, 27/06)."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from famulus.feed.source import Splits
from famulus.tasks.qsm.phantoms import Truth
from famulus.tasks.qsm.qsm import Qsm
from famulus.tasks.qsm.source import SpectrumSource, VolumeSource


def swapped(source: VolumeSource) -> VolumeSource:
    make: Callable[[int], Truth] = source.make

    def other(seed: int) -> Truth:
        truth = make(seed)
        return replace(truth, chi_ppm=truth.field_ppm, field_ppm=truth.chi_ppm)

    return VolumeSource(other, source.seeds, source.acquisition, f"{source.identity}-swapped")


class QsmSwapped(Qsm):
    @cached_property
    def _splits(self) -> Splits:
        sound = super()._splits
        parts = []
        for part in (sound.train, sound.validation):
            if isinstance(part, SpectrumSource):
                parts.append(SpectrumSource(swapped(part.volumes), part.bands))
            else:
                parts.append(swapped(part))
        return Splits(*parts, sound.notes)
