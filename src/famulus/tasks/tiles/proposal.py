"""Settings of task `tiles` for a set of pictures that was looked at."""

from famulus.images.survey import Survey
from famulus.tasks.base import Proposal


def tiles_proposal(survey: Survey) -> Proposal:
    data = survey.at(size=survey.small_side(8))
    if survey.differ:
        data["fit"] = "crop"  # a stretched picture is another one
    return Proposal(
        {
            "data": data,
            "model": {"kind": "vae", "code": 128},
            # experiments/tiles/first-light: better than .001 for both kinds
            "training": {"batch": 64, "optimizer": {"name": "adam", "lr": 0.003}},
        },
        survey.lines(),
    )
