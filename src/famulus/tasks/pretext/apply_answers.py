"""What a net says of a person's own pictures: answers, and an examination where they are known.

Pictures that lie in folders named as classes are compared with what the net says of them; names are
matched, never numbers.
"""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from famulus.images.input_pictures import refuse_unread
from famulus.images.picture import Recipe
from famulus.tasks.pretext.apply_features import in_batches
from famulus.tasks.pretext.examiner import ORDERS, Answer, Examiner

LISTED = 20  # files in each list


def write_answers(
    probabilities: Callable[[Tensor], Tensor],
    classes: Sequence[str],
    device: torch.device,
    inputs: Path,
    out: Path,
    how: Recipe,
) -> None:
    """`predictions.csv` and, if any picture's class is known, `examined.json` in `out`.

    `probabilities` BK of images BCYX. Raises DataError naming what could not be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    examiner = Examiner(len(classes), LISTED)
    files: list[str] = []
    unread: list[str] = []
    with open(out / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        # names, not numbers: numbers mean nothing without this run's list of classes
        table.writerow(["file", "class", "probability"])
        for names, images in in_batches(inputs, how, device, unread):
            probability_BK = probabilities(images).cpu()
            for name, row in zip(names, probability_BK, strict=True):
                said = int(row.argmax())
                table.writerow([name, classes[said], f"{float(row[said]):.6f}"])
                true = class_of(name, classes)
                if true is not None:
                    examiner.add(row[None], torch.tensor([true]), torch.tensor([len(files)]))
                files.append(name)
    if examiner.seen:
        report = examined(examiner, classes, files)
        (out / "examined.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    refuse_unread(unread, len(files))


def class_of(name: str, classes: Sequence[str]) -> int | None:
    """The class whose name the innermost matching folder of a file bears."""
    # the innermost: folders above may be called anything, a class among them
    for folder in reversed(PurePosixPath(name).parent.parts):
        if folder in classes:
            return classes.index(folder)
    return None


def examined(examiner: Examiner, classes: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    """Plain values: accuracy, confusion, counts, lists of files over all and for each class."""

    def lines(answers: list[Answer]) -> list[dict[str, Any]]:
        return [
            {
                "file": files[a.id],
                "true": classes[a.true],
                "said": classes[a.said],
                "probability": round(a.sure, 6),
                "of_true": round(a.own, 6),
            }
            for a in answers
        ]

    return {
        "pictures": examiner.seen,
        "accuracy": examiner.accuracy,
        "classes": list(classes),
        "confusion": examiner.confusion.tolist(),
        "true_counts": examiner.true_counts,
        "said_counts": examiner.said_counts,
        "commonest_mistakes": [
            {"true": classes[t], "said": classes[s], "times": n}
            for t, s, n in examiner.confusions(LISTED)
        ],
        "all": {order: lines(examiner.select(order, LISTED)) for order in (*ORDERS, "random")},
        "each_class": {
            name: {
                order: lines(examiner.select(order, LISTED, true=i))
                for order in ("most wrong", "least sure", "most right")
            }
            for i, name in enumerate(classes)
            if examiner.true_counts[i]
        },
    }
