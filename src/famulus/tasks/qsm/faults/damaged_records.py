"""Records on disk, some of them damaged as downloads are: cut short, of another size, with NaN.

(QSM journal, 03/07 and 07/07: files deleted and topped up by hand.) Sound twin and faulty one in
one: what is damaged is left out, replaced and counted, so that nothing is to be found.
"""

import tempfile
from functools import cached_property
from pathlib import Path

import numpy as np

from famulus.feed.source import Splits
from famulus.tasks.qsm.datasets import open_qsm
from famulus.tasks.qsm.phantoms import shapes
from famulus.tasks.qsm.qsm import Qsm
from famulus.tasks.qsm.records import write_record


class QsmDamagedRecords(Qsm):
    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory:
        return tempfile.TemporaryDirectory()  # gone with the task

    @cached_property
    def _splits(self) -> Splits:
        data, folder = self.config.data, Path(self._folder.name)
        for i in range(data.train + data.validation):
            write_record(folder / f"{i:03d}.npz", shapes((data.size,) * 3, i))
        short, other, spoiled = (folder / f"{i:03d}.npz" for i in (1, 3, 5))
        short.write_bytes(short.read_bytes()[:-1000])
        write_record(other, shapes((data.size - 2,) * 3, 3))
        truth = shapes((data.size,) * 3, 5)
        truth.chi_ppm[0, 0, 0] = np.nan
        write_record(spoiled, truth)
        counts = (data.train, data.validation, data.seed)
        return open_qsm(str(folder), data.size, data.voxel_mm, *counts, data.acquisition)
