"""Research quantisers of the extra `vector-quantize-pytorch`, behind this package's own contract.

Shapes: as in `quantiser`; the library's classes take and give 1 N D (some 1 D N) and
indices 1 N.
"""

import copy
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from famulus.tasks.codes.quantiser import Quantised, Quantiser


class LibraryQuantiser(Quantiser):
    """A class of the library by name, as SimVQ, with its own options; codes are shared by groups.

    Its loss, weighted as the library does, is `codebook`; `commit` is 0, so that nothing counts
    twice. Padding reaches it in eval mode only. Raises ValueError where the library, the class or
    its way back from codes is missing, if its codes are not `size`, or several a vector.
    """

    def __init__(
        self, name: str, size: int, width: int, codes_per_position: int, options: dict[str, Any]
    ) -> None:
        super().__init__(size, width, codes_per_position, shared=True)
        try:
            # here: an extra that few have
            import vector_quantize_pytorch as library
        except ImportError:
            raise ValueError(
                "quantiser kind library needs the package vector-quantize-pytorch: install it, or "
                "use ema, gradient or fsq"
            ) from None
        kind = getattr(library, name, None)
        if not inspect.isclass(kind):
            raise ValueError(f"quantiser name: vector-quantize-pytorch has no class {name!r}")
        asked = inspect.signature(kind).parameters
        # only what the class takes: their names for the rest differ
        given = {"dim": width, "codebook_size": size}
        try:
            self.inner = kind(**{k: v for k, v in given.items() if k in asked}, **options)
        except (TypeError, ValueError, AssertionError) as error:
            raise ValueError(f"quantiser {name}: {error}") from None
        learned = int(getattr(self.inner, "codebook_size", size))
        if learned != size:
            raise ValueError(f"quantiser size: {name} has {learned} codes, received {size}")
        ways = ("get_output_from_indices", "indices_to_codes", "get_codes_from_indices")
        self._back = next((way for way in ways if hasattr(self.inner, way)), None)
        if self._back is None:
            raise ValueError(f"quantiser {name} cannot lead from codes back to vectors")
        self._turned = self._takes_1DN()

    def forward(self, z: Tensor, mask: Tensor | None = None) -> Quantised:
        # In float32: in bfloat16 near codes become one, and about half of them are used.
        with torch.autocast(device_type=z.device.type, enabled=False):
            z_GND = self._split(z.float())
            weight_N = None if mask is None else self._weights(mask)
            real_N = None if weight_N is None else weight_N > 0
            if real_N is None or bool(real_N.all()):
                out_GND, codes_GN, loss = self._coded(self.inner, z_GND)
            else:
                out_GND, codes_GN, loss = self._apart(z_GND, real_N)
        return Quantised(
            z=self._join(out_GND, z.shape),
            codes=self._code_grid(codes_GN, z.shape),
            commit=torch.zeros_like(loss),
            codebook=loss,
            before_GND=z_GND.detach(),
            after_GND=out_GND.detach(),
            codes_GN=codes_GN,
            weight_N=weight_N,
        )

    def _apart(self, z_GND: Tensor, real_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `_coded`; what lies in the padding gets a code, and neither moves nor costs."""
        out_GND, loss = torch.zeros_like(z_GND), z_GND.new_zeros(())
        codes_GN = torch.zeros(z_GND.shape[:2], dtype=torch.int64, device=z_GND.device)
        if real_N.any():
            out_GND[:, real_N], codes_GN[:, real_N], loss = self._coded(
                self.inner, z_GND[:, real_N]
            )
        training = self.inner.training
        with torch.no_grad():
            # eval: what lies in the padding must not move a codebook
            padding = self._coded(self.inner.eval(), z_GND[:, ~real_N])
        self.inner.train(training)
        out_GND[:, ~real_N], codes_GN[:, ~real_N] = padding[:2]
        return out_GND, codes_GN, loss

    def _coded(self, inner: nn.Module, z_GND: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(vectors, codes, loss). Raises ValueError if there is more than one code a vector."""
        out_GND, codes_GN, *rest = inner(z_GND.mT if self._turned else z_GND)
        if codes_GN.shape != z_GND.shape[:2]:
            raise ValueError(
                f"expected one code a vector from {type(inner).__name__}, received codes "
                f"of shape {tuple(codes_GN.shape)} for {tuple(z_GND.shape[:2])} vectors"
            )
        loss = rest[0].sum() if rest and isinstance(rest[0], Tensor) else z_GND.new_zeros(())
        return out_GND.mT if self._turned else out_GND, codes_GN.long(), loss

    def _takes_1DN(self) -> bool:
        """Whether the class wants the numbers of a vector before the vectors, as LatentQuantize.

        Asked of a copy, with random numbers of its own: some classes start at what they first see.
        """
        twin = copy.deepcopy(self.inner).eval()
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            z_1ND = torch.randn(1, self.width + 1, self.width)
            for self._turned in (False, True):
                try:
                    if self._coded(twin, z_1ND)[0].shape == z_1ND.shape:
                        return self._turned
                except (AssertionError, RuntimeError):
                    continue
        raise ValueError(
            f"quantiser {type(twin).__name__} takes no vectors of {self.width} numbers"
        )

    def vectors(self, codes_GN: Tensor) -> Tensor:
        e_GND = getattr(self.inner, self._back)(codes_GN)
        return e_GND.mT if self._turned else e_GND
