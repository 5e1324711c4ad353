"""The CUDA kernel of the transposed convolution: every thread gathers one output, nothing is scattered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.kernels import build_number, build_split, index_of


@dataclass(frozen=True)
class ConvTransposeSpec:
    """A specialisation of the kernel.

    Attributes
    ----------
    scalar : str
        The stored scalar.
    parts : int
        Scalars of an element, 2 for complex numbers.
    bias : bool
        Whether a bias is added.
    channels_last : bool
        Whether the channels are the last axis.
    wide : bool
        Whether flat indices need 64 bits.
    conjugate : bool
        Whether the weight is conjugated.
    """

    scalar: str
    parts: int
    bias: bool
    channels_last: bool
    wide: bool
    conjugate: bool = False


def build_conv_transpose(machine: Any, spec: ConvTransposeSpec) -> Callable[..., None]:
    """Return the kernel that forms every sum directly, in the order that the plan's step names."""
    fma, widen, narrow = machine.fma, machine.widen, machine.narrow
    plus, mad = machine.plus, machine.mad
    memory, load, store_lanes = machine.memory, machine.load, machine.store_lanes

    KIND = arithmetic.kind_of(spec.scalar)
    real, carrier = arithmetic.accumulator_of(KIND), arithmetic.carrier_of(KIND)
    index, short = index_of(spec), types.uint32
    number_of, split = build_number(machine, index), build_split(machine, index)
    PARTS, BIAS, LAST, CONJUGATE = spec.parts, spec.bias, spec.channels_last, spec.conjugate

    @machine.inline
    def advanced(place, steps, step):
        """Return the place that lies so many steps, each maybe negative, behind another: modulo 2**32."""
        return index(mad(short(steps), short(step), place))

    def kernel(
        x, y, weight, bias, total, in_group, out_group, channels, height_in, width_in, depth_out, height_out,
        width_out, kernel_h, kernel_w, image_in, channel_in, sample_in, group_weight, in_weight, out_weight,
        place_step_d, tap_step_d, place_step_h, tap_step_h, place_step_w, tap_step_w,
        place_d, tap_d, count_d, place_h, tap_h, count_h, place_w, tap_w, count_w,
    ):  # fmt: skip
        one, zero = index(1), index(0)
        place = number_of()
        if place >= index(total):
            return
        rest, channel = place, zero
        if LAST:
            rest, channel = split(rest, index(channels))
        rest, ow = split(rest, index(width_out))
        rest, oh = split(rest, index(height_out))
        rest, od = split(rest, index(depth_out))
        if not LAST:
            rest, channel = split(rest, index(channels))
        group, co = split(channel, index(out_group))
        image = index(rest * index(image_in))
        weights = mad(group, index(group_weight), index(co * index(out_weight)))

        sums = memory.local.array(PARTS, real)
        for part in range(PARTS):
            sums[part] = real(0.0)
            if BIAS:
                sums[part] = widen(KIND, load(bias, mad(channel, index(PARTS), index(part))))
        a = zero
        while a < index(load(count_d, od)):
            sample_d = advanced(load(place_d, od), a, place_step_d)
            at_d = mad(a, index(tap_step_d), index(load(tap_d, od)))
            b = zero
            while b < index(load(count_h, oh)):
                sample_h = advanced(load(place_h, oh), b, place_step_h)
                at_h = mad(b, index(tap_step_h), index(load(tap_h, oh)))
                row = index(mad(sample_d, index(height_in), sample_h) * index(width_in))
                tap = index(mad(at_d, index(kernel_h), at_h) * index(kernel_w))
                c = zero
                while c < index(in_group):
                    source = mad(mad(group, index(in_group), c), index(channel_in), image)
                    factors = mad(c, index(in_weight), plus(weights, tap))
                    k = zero
                    while k < index(load(count_w, ow)):
                        sample_w = advanced(load(place_w, ow), k, place_step_w)
                        at_w = mad(k, index(tap_step_w), index(load(tap_w, ow)))
                        value = index(mad(plus(row, sample_w), index(sample_in), source) * index(PARTS))
                        factor = index(plus(factors, at_w) * index(PARTS))
                        for part in range(PARTS * PARTS):  # (a + bi)(c + di) = (ac - bd) + (ad + bc)i
                            to, of = part // PARTS, part % PARTS
                            multiplier = widen(KIND, load(weight, plus(factor, index(to ^ of))))
                            if (to > of) if CONJUGATE else (of > to):
                                multiplier = -multiplier
                            sums[to] = fma(multiplier, widen(KIND, load(x, plus(value, index(of)))), sums[to])
                        k = plus(k, one)
                    c = plus(c, one)
                b = plus(b, one)
            a = plus(a, one)
        packed = memory.local.array(1, carrier)
        for part in range(PARTS):
            packed[0] = narrow(KIND, sums[part] + real(0.0))
            store_lanes(y, mad(place, index(PARTS), index(part)), packed, 1)

    return kernel


def conv_transpose_signature(spec: ConvTransposeSpec) -> Any:
    """Return the types of the kernel's parameters."""
    array, size = types.CPointer(arithmetic.carrier_of(arithmetic.kind_of(spec.scalar))), types.uint64
    return types.void(*[array] * 4, *[size] * 23, *[types.CPointer(types.uint32)] * 9)
