"""What every CPU kernel shares: the arithmetic on scalars, or on vectors lane by lane.

Kernels are compiled by Numba without the GIL. Integers in capitals select a specialisation. They come in through a
closure, which Numba can cache on disk as long as it holds nothing but integers; so the arithmetic must be a global.
"""

from __future__ import annotations

from numba.extending import intrinsic

from gpu_upsample import arithmetic
from gpu_upsample.cpu import vectors

_scalar = arithmetic.build(intrinsic)
fma, add_product, widen, narrow = _scalar.fma, _scalar.add_product, _scalar.widen, _scalar.narrow


def lanes_of(kind: int) -> int:
    """Return how many accumulators of a stored scalar fill a vector."""
    return vectors.BYTES * 8 // arithmetic.accumulator_of(kind).bitwidth
