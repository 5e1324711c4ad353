"""The CUDA kernel of the transposed convolution's long sums: every thread forms one lane of one block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.kernels import build_number, build_split, index_of


@dataclass(frozen=True)
class ReductionSpec:
    """A specialisation of the kernel.

    Attributes
    ----------
    source, result : str
        The scalars of what is summed and of the sums, with one accumulator.
    parts : int
        Scalars of an element, 2 for complex numbers.
    factors : bool
        Whether there are factors.
    wide : bool
        Whether flat indices need 64 bits.
    """

    source: str
    result: str
    parts: int
    factors: bool
    wide: bool


def build_reduction(machine: Any, spec: ReductionSpec) -> Callable[..., None]:
    """Return the kernel that adds up the terms of one lane, in the order that the plan's step names.

    It writes an array (blocks, lanes, results). Neighbouring threads are neighbouring lanes: they read neighbours.
    """
    fma, widen, narrow = machine.fma, machine.widen, machine.narrow
    plus, mad, quotient = machine.plus, machine.mad, machine.quotient
    memory, load, store_lanes = machine.memory, machine.load, machine.store_lanes

    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    real, carrier = arithmetic.accumulator_of(SOURCE), arithmetic.carrier_of(RESULT)
    index, short = index_of(spec), types.uint32
    number_of, split = build_number(machine, index), build_split(machine, index)
    PARTS, FACTORS = spec.parts, spec.factors

    @machine.inline
    def sample(window, stride, shift):
        """Return what a tap sees: modulo 2**32, since shifts may be negative."""
        return index(mad(short(window), short(stride), shift))

    def kernel(
        x, y, factors, total, first, results, in_group, in_factors, kernel_d, kernel_h, kernel_w,
        height_in, width_in, depth, height, width, segments, lanes, turns, all_turns, array, channel, between,
        factor_array, factor_channel, factor_between, stride_d, stride_h, stride_w,
        shift_d, begin_d, end_d, shift_h, begin_h, end_h, shift_w, begin_w, end_w,
    ):  # fmt: skip
        one, zero, unit = index(1), index(0), real(1.0)
        place = number_of()
        if place >= index(total):
            return
        rest, lane = split(place, index(lanes))
        turn, result = split(rest, index(results))
        to_store = mad(mad(turn, index(lanes), lane), index(results), result)
        turn = index(turn * index(turns))
        last = min(plus(turn, index(turns)), index(all_turns))

        rest, kw = split(plus(result, index(first)), index(kernel_w))
        rest, kh = split(rest, index(kernel_h))
        rest, kd = split(rest, index(kernel_d))
        ci, co = split(rest, index(in_group))
        source = index(mad(quotient(ci, index(in_factors)), index(in_group), co) * index(channel))
        held = index(ci * index(factor_channel))
        low_d, high_d, by_d = load(begin_d, kd), load(end_d, kd), load(shift_d, kd)
        low_h, high_h, by_h = load(begin_h, kh), load(end_h, kh), load(shift_h, kh)
        low_w, high_w, by_w = load(begin_w, kw), load(end_w, kw), load(shift_w, kw)

        sums = memory.local.array(PARTS, real)
        for part in range(PARTS):
            sums[part] = real(0.0)
        rest, segment = split(turn, index(segments))
        rest, h = split(rest, index(height))
        image, d = split(rest, index(depth))
        while turn < last:
            w = mad(segment, index(lanes), lane)
            inside = low_d <= short(d) and short(d) < high_d and low_h <= short(h) and short(h) < high_h
            if inside and low_w <= short(w) and short(w) < high_w:
                seen = mad(sample(d, stride_d, by_d), index(height_in), sample(h, stride_h, by_h))
                seen = mad(seen, index(width_in), sample(w, stride_w, by_w))
                value = index(mad(image, index(array), mad(seen, index(between), source)) * index(PARTS))
                if FACTORS:
                    window = mad(mad(d, index(height), h), index(width), w)
                    factor = mad(image, index(factor_array), mad(window, index(factor_between), held))
                    factor = index(factor * index(PARTS))
                    for part in range(PARTS * PARTS):  # (a - bi)(c + di) = (ac + bd) + (ad - bc)i
                        to, of = part // PARTS, part % PARTS
                        multiplier = widen(SOURCE, load(factors, plus(factor, index(to ^ of))))
                        if to > of:
                            multiplier = -multiplier
                        sums[to] = fma(multiplier, widen(SOURCE, load(x, plus(value, index(of)))), sums[to])
                else:
                    for part in range(PARTS):
                        sums[part] = fma(unit, widen(SOURCE, load(x, plus(value, index(part)))), sums[part])
            segment = plus(segment, one)
            if segment == index(segments):
                segment, h = zero, plus(h, one)
                if h == index(height):
                    h, d = zero, plus(d, one)
                    if d == index(depth):
                        d, image = zero, plus(image, one)
            turn = plus(turn, one)
        packed = memory.local.array(1, carrier)
        for part in range(PARTS):
            packed[0] = narrow(RESULT, sums[part])
            store_lanes(y, mad(to_store, index(PARTS), index(part)), packed, 1)

    return kernel


def reduction_signature(spec: ReductionSpec) -> Any:
    """Return the types of the kernel's parameters."""
    source, result = (arithmetic.carrier_of(arithmetic.kind_of(k)) for k in (spec.source, spec.result))
    pointer, size = types.CPointer, types.uint64
    return types.void(pointer(source), pointer(result), pointer(source), *[size] * 26, *[pointer(types.uint32)] * 9)
