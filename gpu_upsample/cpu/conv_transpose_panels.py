"""The CPU kernels that bring the weight of a transposed convolution into the order in which tiles multiply it."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.arithmetic import carrier_of
from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import widen
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.conv_transpose_factors import load_factor
from gpu_upsample.cpu.permute import gather, register_size, transpose
from gpu_upsample.cpu.tiles import load_alone, store_alone
from gpu_upsample.cpu.vectors import BYTES, entry, fetch, fetch_to_write, load, store

CHANNELS_IN, BLOCKS = 8, 8
"""Channels of the input and blocks of sums whose factors are brought into that order at once."""


@cache
def panel_kernel(KIND: int, PARTS: int, ROWS: int, CONJUGATED: int, NEAR: int) -> Any:  # noqa: N803
    """Return the kernel that brings the weight into the order in which `tile_kernel` multiplies.

    Parameters
    ----------
    KIND, PARTS : int
        Kind of the stored scalars; scalars of an element, 2 for complex numbers.
    CONJUGATED : int
        1 if complex factors are conjugated, else 0.
    ROWS : int
        Sums that are formed side by side, a multiple of PARTS.
    NEAR : int
        How many factors, those of such sums for one pair or for several, always lie within two vector registers; or 0.
    """
    TURN, PAIRS = NEAR or ROWS, max(1, NEAR // ROWS)
    SIZE = carrier_of(KIND).bitwidth // 8
    REACH, REGISTERS = 2 * BYTES // SIZE, 2 * BYTES // register_size(SIZE)

    @Kernel
    def kernel(first, last, arguments, scratch):
        weight, panels, cuts, size, in_group, strides, teeth, bases, offsets = unpack(arguments, scratch)
        for job in range(first, last):
            group, cut = job // cuts, job % cuts
            for start in range(0, in_group, CHANNELS_IN):
                end = min(start + CHANNELS_IN, in_group)
                for q in range(teeth.shape[0]):
                    tooth = teeth[q]
                    height, above, taps = tooth.height, tooth.pairs[0] * tooth.pairs[1], tooth.pairs[2]
                    low, high = cut * BLOCKS, min((cut + 1) * BLOCKS, (height + ROWS - 1) // ROWS)
                    for row in range(above):
                        for c in range(start, end):
                            src = (group * strides[0] + c * strides[1]) * PARTS
                            for block in range(low, high):
                                at = ((block * above + row) * in_group + c) * taps * PARTS * ROWS
                                at += group * size + tooth.panel
                                name = tooth.bases + (block * above + row) * (taps // PAIRS)
                                for k in range(name, name + taps // PAIRS):
                                    base = src + entry(bases, k)
                                    if NEAR and base + REACH <= weight.size:  # none is read beyond the end
                                        factor = gather(REGISTERS, weight, base, 0, load(TURN, offsets, k * TURN), 0)
                                        store(panels, at, widen(KIND, factor))
                                        at += TURN
                                        continue
                                    for of in range(PARTS):
                                        for i in range(TURN):
                                            place = base + entry(offsets, k * TURN + i)
                                            factor = load_factor(
                                                KIND, PARTS, CONJUGATED, weight, place // PARTS, i % PARTS, of
                                            )
                                            store_alone(panels, at + i, factor)
                                        at += TURN

    return kernel


@cache
def turned_panel_kernel(KIND: int, ROWS: int) -> Any:  # noqa: N803
    """Return the kernel that does so where sums side by side are always channels.

    The taps of ROWS channels are turned into rows of channels, which are what is multiplied together.

    Parameters
    ----------
    KIND, ROWS : int
        As for `panel_kernel`.
    """
    LANES = BYTES * 8 // carrier_of(KIND).bitwidth

    @Kernel
    def kernel(first, last, arguments, scratch):
        weight, panels, cuts, size, in_group, strides, teeth, bases, window, turned = unpack(arguments, scratch)
        height, apart = teeth[0].height, strides[2]
        blocks, pitch = (height + ROWS - 1) // ROWS, (window + LANES - 1) // LANES * LANES
        for job in range(first, last):
            group, cut = job // cuts, job % cuts
            low, high = cut * BLOCKS, min((cut + 1) * BLOCKS, blocks)
            for c in range(in_group):
                for block in range(low, high):
                    src, dst = group * strides[0] + c * strides[1] + block * ROWS * apart, (block - low) * ROWS * pitch
                    there = min(ROWS, height - block * ROWS)
                    if there == ROWS and src + (ROWS - 1) * apart + pitch <= weight.size:  # none is read beyond the end
                        for tap in range(0, pitch, LANES):
                            for i in range(ROWS):  # the taps of the next channel lie far from these
                                fetch(weight, src + tap + i * apart + strides[1])
                            transpose(ROWS, LANES, weight, src + tap, apart, turned, dst + tap * ROWS)
                    else:
                        for i in range(ROWS):
                            for tap in range(window):
                                word = load_alone(weight, src + min(i, there - 1) * apart + tap)
                                store_alone(turned, dst + tap * ROWS + i, word)
                for q in range(teeth.shape[0]):
                    tooth = teeth[q]
                    above, taps = tooth.pairs[0] * tooth.pairs[1], tooth.pairs[2]
                    for row in range(above):
                        for block in range(low, high):
                            at = ((block * above + row) * in_group + c) * taps * ROWS + group * size + tooth.panel
                            src = (block - low) * ROWS * pitch
                            for k in range(taps):
                                # The first block's factors begin with those of the first channel: with their taps.
                                tap = entry(bases, tooth.bases + row * taps + k)
                                factor = load(ROWS, turned, src + tap * ROWS)
                                fetch_to_write(panels, at + (taps + k) * ROWS)  # the next channel's
                                store(panels, at + k * ROWS, widen(KIND, factor))

    return kernel
