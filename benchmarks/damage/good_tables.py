"""Small good tables of pictures, indexes of them, and experiment files."""

import csv
import json
import shutil
from pathlib import Path

from benchmarks.damage.good_pictures import COUNT, Maker, class_files, written


def _rows(top: Path) -> list[dict[str, str]]:
    names = list(class_files("png"))
    written(top / "set", class_files("png"))
    roles = ("train", "train", "val")
    return [
        {"path": name, "label": name.split("/")[0], "split": roles[i % 3]}
        for i, name in enumerate(names)
    ]


def table(end: str, separator: str) -> Maker:
    def make(top: Path) -> Path:
        rows, path = _rows(top), top / f"set/pictures{end}"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return make


def json_lines(top: Path) -> Path:
    rows, path = _rows(top), top / "set/pictures.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


MAKERS: dict[str, Maker] = {
    "csv": table(".csv", ","),
    "tsv": table(".tsv", "\t"),
    "jsonl": json_lines,
}


def index_csv(top: Path) -> Path:
    rows = [f"even/{i:02d}.png,a;b,10,12" for i in range(COUNT)]
    (top / "index.csv").write_text("\n".join(["file,tags,width,height", *rows]))
    return top / "index.csv"


def index_json(top: Path) -> Path:
    rows = [
        {"file": f"even/{i:02d}.png", "tags": ["a", "b"], "width": 10, "height": 12}
        for i in range(COUNT)
    ]
    (top / "index.json").write_text(json.dumps(rows))
    return top / "index.json"


def experiment(name: str) -> Maker:
    """One of the shipped experiments."""

    def make(top: Path) -> Path:
        source = Path(__file__).parents[2] / "experiments" / name
        return Path(shutil.copy(source, top / "mine.yaml"))

    return make


SETTINGS: dict[str, Maker] = {
    "tiles yaml": experiment("tiles/first-light.yaml"),
    "scroll yaml": experiment("scroll/batch.yaml"),
}
INDEXES: dict[str, Maker] = {"index csv": index_csv, "index json": index_json}
