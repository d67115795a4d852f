"""Research quantisers of the extra `vector-quantize-pytorch`, behind this package's own contract.

Shapes: as in `quantiser`; the library's classes take and give 1 N D and indices 1 N.
"""

import inspect
from typing import Any

import torch
from torch import Tensor

from famulus.models.quantiser import Quantised, Quantiser


class LibraryQuantiser(Quantiser):
    """A class of the library by name, as SimVQ, with its own options; codes are shared by groups.

    Its loss, weighted as the library does, is `codebook`; `commit` is 0, so that nothing counts
    twice. Raises ValueError where the library, the class or its way back from codes is missing.
    """

    def __init__(
        self, name: str, size: int, width: int, codes_per_position: int, options: dict[str, Any]
    ) -> None:
        super().__init__(size, width, codes_per_position, shared=True)
        try:
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
        given = {"dim": width, "codebook_size": size}
        try:
            self.inner = kind(**{k: v for k, v in given.items() if k in asked}, **options)
        except (TypeError, ValueError, AssertionError) as error:
            raise ValueError(f"quantiser {name}: {error}") from None
        ways = ("get_output_from_indices", "indices_to_codes", "get_codes_from_indices")
        self._back = next((way for way in ways if hasattr(self.inner, way)), None)
        if self._back is None:
            raise ValueError(f"quantiser {name} cannot lead from codes back to vectors")

    def forward(self, z: Tensor, mask: Tensor | None = None) -> Quantised:
        with torch.autocast(device_type=z.device.type, enabled=False):
            z_GND = self._split(z.float())
            weight_N = None if mask is None else self._weights(mask)
            out_GND, codes_GN, *rest = self.inner(z_GND)
            if codes_GN.shape != z_GND.shape[:2]:
                raise ValueError(
                    f"expected one code a vector from {type(self.inner).__name__}, received codes "
                    f"of shape {tuple(codes_GN.shape)} for {tuple(z_GND.shape[:2])} vectors"
                )
            loss = rest[0].sum() if rest and isinstance(rest[0], Tensor) else z_GND.new_zeros(())
            e_GND = out_GND.detach()
        return Quantised(
            z=self._join(out_GND, z.shape),
            codes=self._code_grid(codes_GN.long(), z.shape),
            commit=torch.zeros_like(loss),
            codebook=loss,
            before_GND=z_GND.detach(),
            after_GND=e_GND,
            codes_GN=codes_GN.long(),
            weight_N=weight_N,
        )

    def vectors(self, codes_GN: Tensor) -> Tensor:
        return getattr(self.inner, self._back)(codes_GN)
