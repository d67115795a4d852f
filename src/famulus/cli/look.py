"""What `famulus data info` shows of a set of pictures or of a volume: text, contact sheet, page."""

import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from famulus.images import datasets
from famulus.images.contact_sheet import sheet, tile
from famulus.images.look import look as look_at_pictures
from famulus.images.survey import Survey
from famulus.journal.pages.look_page import look_page
from famulus.volumes.kinds import is_volume
from famulus.volumes.look import VolumeSurvey
from famulus.volumes.look import look as look_at_volume
from famulus.volumes.open import Part, located

PLANE = 320  # pixels of a volume's plane
LISTED = 24  # classes


class Look:
    """Looks once. Raises ConfigError, DataError as the readers do."""

    def __init__(
        self,
        name: str,
        size: int | None = None,
        channel: int | None = None,
        time: int | None = None,
    ) -> None:
        self.survey: Survey | VolumeSurvey
        # names of sets first, as an experiment reads them
        if name not in datasets.NAMED and is_volume(located(name)):
            self.survey = look_at_volume(name, part=Part(channel, time))
        else:
            self.survey = look_at_pictures(name, size)

    @property
    def rows(self) -> Mapping[str, Sequence[np.ndarray]]:
        if isinstance(self.survey, Survey):
            return self.survey.rows
        planes = self.survey.planes
        whole = max(max(plane.shape) for plane in planes.values())
        # one scale for all: planes of a flat volume are flat
        sides = {
            label: max(1, PLANE * max(plane.shape) // whole) for label, plane in planes.items()
        }
        return {label: [tile(plane, sides[label])] for label, plane in planes.items()}

    def sheet(self) -> bytes:
        """The contact sheet as a PNG file."""
        return sheet(self.rows)

    def page(self) -> str:
        """HTML with everything in it."""
        survey = self.survey
        name = shlex.quote(survey.name)
        if isinstance(survey, VolumeSurvey):
            command = f"famulus new scroll --data {name} -o experiments/mine.yaml"
            by = " x ".join(map(str, survey.shape))
            return look_page(
                survey, f"A volume of {by} voxels", self.rows, "Middle planes", commands=command
            )
        command = f"famulus new codes --data {name} -o experiments/mine.yaml"
        title = "Pictures of each class" if survey.classes else "Some pictures"
        whole = f"{survey.train + survey.validation:,} pictures"
        classes = f" in {len(survey.classes):,} classes" if survey.classes else ""
        return look_page(
            survey, whole + classes, self.rows, title, survey.classes, survey.stored, command
        )

    def text(self) -> str:
        survey = self.survey
        lines = [f"{key}: {value}" for key, value in survey.facts()]
        if isinstance(survey, Survey):
            lines += _classes(survey.classes)
        lines += [f"note: {note}" for note in survey.notes]
        return "\n".join([survey.name, *lines, f"use it: {survey.usage}"])


def _classes(counts: Mapping[str, tuple[int, int]]) -> list[str]:
    """A line a class: name, training and validation."""
    wide = max((len(name) for name in counts), default=0)
    rows = [f"  {name:<{wide}}  {train:>7,} + {held:,}" for name, (train, held) in counts.items()]
    more = [f"  and {len(rows) - LISTED:,} more classes"] if len(rows) > LISTED else []
    return ["classes (training + validation):", *rows[:LISTED], *more] if rows else []
