"""The arrays of a transposed convolution on the CPU."""

from __future__ import annotations

from math import prod

from gpu_upsample.cpu.arguments import Given
from gpu_upsample.plan.conv_transpose import ConvTransposeStep


def arrays_of(step: ConvTransposeStep) -> tuple[Given, Given, Given, Given]:
    """Return the input, the weight, the bias and the output as kernels take them; no bias is an empty one."""
    images, outputs = step.batch * step.groups * step.parts, step.groups * step.channels_out * step.parts
    sizes = (
        images * step.channels_in * prod(step.size_in),
        outputs * step.channels_in * prod(step.kernel),
        outputs if step.bias else 0,
        images * step.channels_out * prod(step.size_out),
    )
    x, weight, bias, out = (Given(step.storage.carrier, (size,)) for size in sizes)
    return x, weight, bias, out


def conjugates(step: ConvTransposeStep) -> int:
    """Return 1 if the sums are of products with conjugated complex numbers of the weight, else 0."""
    return int(step.adjoint and step.parts > 1)
