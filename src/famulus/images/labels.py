"""Labels as people store them: numbers, (B, 1), one-hot rows, whole numbers as floats, texts.

A label becomes a position in a list of class names. Numbers keep their value; texts become classes
sorted by name. What is no class (a measurement, several at once, a negative number) is refused.
"""

from collections.abc import Mapping

import numpy as np

from famulus.config.errors import DataError

MAX_CLASSES = 1 << 20  # one damaged label must not make billions of names


def positions(
    answers: Mapping[str, np.ndarray], classes: tuple[str, ...] | None, where: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...], list[str]]:
    """(int64 B for each split, class names, notes), of the labels of each split.

    `where` calls each by its file and member. Raises DataError for labels that are no classes.
    """
    notes: list[str] = []
    rows = {role: _one_each(labels, where[role], notes) for role, labels in answers.items()}
    kinds = {labels.dtype.kind for labels in rows.values()}
    if kinds == {"U"}:
        texts = {text for r in rows.values() for text in np.unique(r).tolist()}
        names = classes or tuple(sorted(texts))
        return {role: _of_names(r, names, where[role]) for role, r in rows.items()}, names, notes
    if "U" in kinds:
        both = " and ".join(f"{where[r]} ({rows[r].dtype})" for r in rows)
        raise DataError(f"expected labels of one kind, received {both}")
    top = max(int(r.max(initial=0)) for r in rows.values())
    names = classes or tuple(str(i) for i in range(min(top, MAX_CLASSES) + 1))
    for role, labels in rows.items():
        low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
        if low < 0 or high >= len(names):
            raise DataError(
                f"{where[role]}: expected integer labels of 0 to {len(names) - 1}, one for each "
                f"class, received {low} to {high}"
            )
    return {role: labels.astype(np.int64) for role, labels in rows.items()}, names, notes


def _of_names(labels: np.ndarray, names: tuple[str, ...], where: str) -> np.ndarray:
    texts, inverse = np.unique(labels, return_inverse=True)
    position = {name: i for i, name in enumerate(names)}
    unknown = [text for text in texts.tolist() if text not in position]
    if unknown:
        raise DataError(f"{where}: {unknown[0]!r} is not among the {len(names)} names in classes")
    return np.array([position[text] for text in texts.tolist()], np.int64)[inverse.reshape(-1)]


def _one_each(labels: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    """B whole numbers or texts (kind i, u or U)."""
    shape = f"received {labels.dtype} {labels.shape}"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf":
        # A one in each row, and nothing else.
        if not (((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all()):
            raise DataError(
                f"{where}: expected one label a picture, or one-hot rows, {shape}: store one "
                "column of it, or leave it out"
            )
        notes.append(f"{where}: one-hot rows of {labels.shape[1]} taken as labels")
        return labels.argmax(1)
    if labels.ndim != 1:
        raise DataError(f"{where}: expected one label a picture, {shape}")
    if labels.dtype.kind == "S":
        return _decoded(labels, where)
    if labels.dtype.kind == "b":
        return labels.astype(np.uint8)
    if labels.dtype.kind == "f":
        # NaN is no whole number either; a large one would overflow on the way to an integer.
        whole = np.isfinite(labels) & (labels == np.rint(labels)) & (np.abs(labels) < 1 << 31)
        if not whole.all():
            first = int(np.argmin(whole))
            raise DataError(
                f"{where}: expected integer labels, received {labels[first]} at number {first}: "
                "no class, as in a regression, which no task here learns: leave it out"
            )
        notes.append(f"{where}: {labels.dtype} of whole numbers taken as labels")
        return labels.astype(np.int64)
    if labels.dtype.kind not in "iuU":
        raise DataError(f"{where}: expected labels as integers or texts, {shape}")
    return labels


def _decoded(labels: np.ndarray, where: str) -> np.ndarray:
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: expected texts in UTF-8, received {labels.dtype}") from error
