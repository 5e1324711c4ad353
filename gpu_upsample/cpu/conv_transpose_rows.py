"""The CPU kernel of short sums of a transposed convolution: it forms them row by row.

It adds the same terms in the same order as that of long sums, which forms them in tiles.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import fma, narrow, widen
from gpu_upsample.cpu.compiled import Kernel


@cache
def row_kernel(KIND: int, PARTS: int, STRIDE: int, LAST: int, ADJOINT: int) -> Any:  # noqa: N803
    """Return the kernel that forms the sums of whole output rows.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalars.
    PARTS : int
        Scalars of an element, 2 for complex numbers.
    STRIDE : int
        Stride along a row if it is 1 or 2, else 0.
    LAST : int
        1 if channels are the last axis, so that the samples of a row are not neighbours.
    ADJOINT : int
        1 if the windows are the output, 0 if they are the input.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, weight, bias, out, sizes, channels, stride, padding, dilation, strides_in, strides_out, strides_weight,
            depth_table, depth_steps, height_table, height_steps, zero, lines,
        ) = unpack(arguments, scratch)  # fmt: skip
        height_in, width_in, depth_out, height_out, width_out, kernel_h, kernel_w = sizes
        in_group, out_group, groups = channels
        step = STRIDE if STRIDE else stride
        between_in = strides_in[2] if LAST else 1
        between_out = strides_out[2] if LAST else 1
        between = step * between_in if ADJOINT else between_in
        windows, samples = (width_out, width_in) if ADJOINT else (width_in, width_out)
        # The samples of a row apart by phase, so that those that one tap reaches are neighbours.
        phases, pitch = lines.shape[0], lines.shape[1] // PARTS
        for row in range(first, last):
            oh, rest = row % height_out, row // height_out
            od, rest = rest % depth_out, rest // depth_out
            channel, image = rest % (out_group * groups), rest // (out_group * groups)
            group, co = channel // out_group, channel % out_group
            for to in range(PARTS):
                first_term = widen(KIND, bias[channel * PARTS + to]) if bias.size else zero
                for phase in range(phases):
                    for j in range(pitch):
                        lines[phase, j * PARTS + to] = first_term
            for a in range(depth_table[2, od]):
                sample_d = depth_table[0, od] + a * depth_steps[0]
                tap_d = depth_table[1, od] + a * depth_steps[1]
                for b in range(height_table[2, oh]):
                    sample_h = height_table[0, oh] + b * height_steps[0]
                    tap_h = height_table[1, oh] + b * height_steps[1]
                    place = (sample_d * height_in + sample_h) * width_in
                    tap = (tap_d * kernel_h + tap_h) * kernel_w
                    for c in range(in_group):
                        ci = group * in_group + c
                        src = image * strides_in[0] + ci * strides_in[1] + place * strides_in[2]
                        factors = group * strides_weight[0] + c * strides_weight[1] + co * strides_weight[2] + tap
                        for k in range(kernel_w):
                            shift = k * dilation - padding
                            begin = max(0, (-shift + step - 1) // step)
                            end = min(windows, (samples - 1 - shift) // step + 1)
                            phase = 0 if ADJOINT else shift % step
                            line, ahead = lines[phase], 0 if ADJOINT else (shift - phase) // step
                            for part in range(PARTS * PARTS):
                                to, of = part // PARTS, part % PARTS  # (a + bi)(c + di) = (ac - bd) + (ad + bc)i
                                factor = widen(KIND, weight[(factors + k) * PARTS + (to ^ of)])
                                if (to > of) if ADJOINT else (of > to):  # the adjoint has a - bi
                                    factor = -factor
                                near = begin * step + shift if ADJOINT else begin
                                seen = x[(src + near * between_in) * PARTS :]  # begins at the first term
                                totals = line[(begin + ahead) * PARTS :]
                                for j in range(end - begin):
                                    value = widen(KIND, seen[j * between * PARTS + of])
                                    totals[j * PARTS + to] = fma(factor, value, totals[j * PARTS + to])
            dst = image * strides_out[0] + channel * strides_out[1]
            dst += (od * height_out + oh) * width_out * strides_out[2]
            target = out[dst * PARTS :]
            if STRIDE and phases == STRIDE:  # all phases at once: whole vectors are interleaved
                for j in range(width_out // STRIDE):
                    for phase in range(STRIDE):
                        for to in range(PARTS):
                            at = (j * STRIDE + phase) * between_out * PARTS + to
                            target[at] = narrow(KIND, lines[phase, j * PARTS + to] + zero)
            for ow in range(width_out // STRIDE * STRIDE if STRIDE and phases == STRIDE else 0, width_out):
                for to in range(PARTS):
                    value = lines[ow % phases, ow // phases * PARTS + to] + zero
                    target[ow * between_out * PARTS + to] = narrow(KIND, value)

    return kernel
