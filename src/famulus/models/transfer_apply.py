"""A person's own pictures through a transfer net: answers, features, and an examination.

Pictures that lie in folders named as classes are compared with what the net says of them; names are
matched, never numbers.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from famulus.config.errors import ConfigError
from famulus.data.labelled import LabelledSource
from famulus.data.loose_features import in_batches, told, write_features
from famulus.models.transfer import TransferNet
from famulus.ops.examiner import ORDERS, Answer, Examiner

LISTED = 20  # files in each list


def apply_transfer(
    model: TransferNet,
    train: LabelledSource,
    inputs: Path,
    out: Path,
    options: Mapping[str, Any],
) -> None:
    """Raises ConfigError for an unknown option, DataError naming what could not be read."""
    if unknown := sorted(set(options) - {"features"}):
        raise ConfigError(f"apply: transfer takes the option features, received {unknown[0]}")
    from dataclasses import replace

    how = replace(train.base.recipe, size=tuple(train.shape[1:]), channels=train.shape[0])
    device = next(model.parameters()).device
    if options.get("features"):
        write_features(model.features, device, inputs, out, how)
        return
    out.mkdir(parents=True, exist_ok=True)
    examiner, files, unread = Examiner(len(train.classes), LISTED), [], []
    with open(out / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "class", "probability"])
        for names, images in in_batches(inputs, how, device, unread):
            probability_BK = model(images).float().softmax(1).cpu()
            for name, row in zip(names, probability_BK, strict=True):
                said = int(row.argmax())
                table.writerow([name, train.classes[said], f"{float(row[said]):.6f}"])
                true = class_of(name, train.classes)
                if true is not None:
                    examiner.add(row[None], torch.tensor([true]), torch.tensor([len(files)]))
                files.append(name)
    if examiner.seen:
        report = examined(examiner, train.classes, files)
        (out / "examined.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    told(unread)


def class_of(name: str, classes: Sequence[str]) -> int | None:
    """The class whose name the innermost matching folder of a file bears."""
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
