"""What samples are multiplied by in a transposed convolution on the CPU."""

from __future__ import annotations

from gpu_upsample.cpu.arithmetic import widen
from gpu_upsample.cpu.compiled import inlined
from gpu_upsample.cpu.tiles import load_alone


@inlined
def load_factor(KIND, PARTS, CONJUGATED, weight, element, row, of):  # noqa: N803
    """Return what a scalar of a sample is multiplied by for a scalar of the sum.

    ``(a + bi)(c + di) = (ac - bd) + (ad + bc)i``, where a sample is a + bi and an element of the weight c + di.

    Parameters
    ----------
    KIND, PARTS, CONJUGATED : int
        Kind of the stored scalars; scalars of an element, 2 for complex numbers; whether c - di is meant.
    weight, element : pointer, int
        The weight, and which of its elements.
    row, of : int
        Which scalar of the sum, and which of the sample.
    """
    factor = widen(KIND, load_alone(weight, element * PARTS + (row ^ of)))
    return -factor if ((row > of) if CONJUGATED else (of > row)) else factor
