"""Pretext batches against a per-sample data set, and what two heads make of unmix.

A batch: three photographs each in a view of its own (crop, flip, colour), two of them mixed, all
four encoded without gradients. Ours composes whole batches from resident bytes; the other opens,
augments and mixes sample by sample in a DataLoader with 2 workers, the same encoder in the main
process; both torch with the same number of threads. `speedup_over_resident_per_sample` is against
the same data set with its decoded pictures kept in memory.
Accuracy: which two of three were mixed (Beta(1, 1) weights of at least .1), held-out photographs,
600 steps of 64, aligned views (flips); chance is 1/3. Pictures: `clothing` of FAMULUS_DATA, else
32x32 crops of scikit-learn's two photographs (their right fifths held out).
"""

import io
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from benchmarks.reference_pretext import MixupDataset
from benchmarks.timing import ratio, seconds
from famulus.config.errors import DataError
from famulus.feed.feeder import Feeder, validation_batches
from famulus.images.datasets import clothing
from famulus.tasks.base import Position
from famulus.tasks.pretext.encoders import build_encoder
from famulus.tasks.pretext.pretext import Pretext, PretextConfig

SIZE, BATCH, STEPS, LR = 32, 64, 600, 0.005
ENCODER = {"kind": "conv", "channels": [32, 64, 128, 256], "stem": 2}
LIGHT = ENCODER | {"channels": [16, 32, 64, 128]}  # for throughput: the data are what is measured
QUEUED, SETTLE_S = 4, 0.5  # batches that 2 workers keep ready; time in which they make them
VIEWS = {"least_area": 0.35, "flip_h": 0.5, "jitter": 0.2}


def pictures(folder: Path) -> tuple[str, list[bytes], str]:
    """(name for `data.name`, training files as bytes, origin)."""
    try:
        part = clothing(None).train
        raw = []
        for name in part.names:
            with part.files.open(name) as file:
                raw.append(file.read())
        return "clothing", raw, "clothing"
    except DataError:
        from benchmarks.codebook import cut, photographs

        train, held_out, origin = photographs()
        raw = []
        for role, images in (("train", cut(train, 2000, 0)), ("val", cut(held_out, 400, 1))):
            (folder / role / "crop").mkdir(parents=True)
            for i, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
                packed = io.BytesIO()
                Image.fromarray(image).save(packed, "PNG")
                (folder / role / "crop" / f"{i:05d}.png").write_bytes(packed.getvalue())
                raw += [packed.getvalue()] if role == "train" else []
        return str(folder), raw, origin


def make(name: str, head: str, views: dict) -> Pretext:
    data = {"name": name, "size": SIZE, "channels": 3, "pretext": "unmix"}
    data |= {"views": views}
    return Pretext(PretextConfig(data=data, model={"encoder": ENCODER, "head": {"kind": head}}), {})


def forever(loader: DataLoader):
    while True:
        yield from loader


def throughput(name: str, raw: list[bytes], decoded: bool, blocks: int, per: int) -> float:
    """Median of the reference's time over ours, per block of `per` batches."""
    encoder = build_encoder(colours=3, size=(SIZE, SIZE), **LIGHT).eval()
    ours = Feeder(make(name, "pair", VIEWS).data().train, BATCH, 0, "cpu")
    options = {"shuffle": True, "drop_last": True, "num_workers": 2, "persistent_workers": True}
    theirs = forever(DataLoader(MixupDataset(raw, SIZE, decoded), BATCH, **options))

    def our_block() -> None:
        for _ in range(per):
            batch = next(ours)
            encoder(torch.cat([batch["image"], batch["sources"].flatten(0, 1)]))

    def their_block() -> None:
        for _ in range(per):
            mixture, sources, _ = next(theirs)
            encoder(torch.cat([mixture, sources.flatten(0, 1)]))

    times = np.empty((2, blocks))
    with torch.no_grad():
        our_block()
        their_block()
        for block in range(blocks):
            time.sleep(SETTLE_S)  # their workers fill their queue and rest: ours runs alone
            times[1, block] = seconds(our_block)
            for _ in range(QUEUED):  # what they made in our time does not count as theirs
                next(theirs)
            times[0, block] = seconds(their_block)
    ours.close()
    return ratio(*times)[0]


def accuracy(name: str, head: str, steps: int) -> float:
    """Held-out set accuracy after `steps` optimizer steps: AdamW, warm-up, cosine."""
    torch.manual_seed(0)
    task = make(name, head, {"flip_h": 0.5})
    net = task.build().train()
    optimizer = torch.optim.AdamW(net.parameters(), LR, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, steps + 1, pct_start=0.15)
    feeder = Feeder(task.data().train, BATCH, 0, "cpu")
    for step in range(steps):
        total = task.loss(net, next(feeder), Position(step, step * BATCH, 0, 0))["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()
    net.eval()
    right = seen = 0
    with torch.no_grad():
        for batch in validation_batches(task.data().validation, 128, "cpu"):
            logits = net(batch["image"], batch["sources"])
            chosen = logits.topk(2, 1).indices
            right += int((batch["target"].gather(1, chosen).sum(1) == 2).sum())
            seen += len(logits)
    return right / seen


def measure(quick: bool) -> dict[str, float | str | None]:
    torch.set_num_threads(min(2, torch.get_num_threads()))
    blocks, per = (12, 8) if quick else (30, 8)
    with tempfile.TemporaryDirectory() as folder:
        name, raw, origin = pictures(Path(folder))
        result = {
            "speedup_over_per_sample": throughput(name, raw, False, blocks, per),
            "speedup_over_resident_per_sample": throughput(name, raw, True, blocks, per),
            "unmix_pair_accuracy": accuracy(name, "pair", STEPS),
            "unmix_mlp_accuracy": accuracy(name, "mlp", STEPS),
        }
    result |= {"chance": 1 / 3, "steps": float(STEPS), "batch": float(BATCH)}
    return result | {"threads": float(torch.get_num_threads()), "pictures": origin}
