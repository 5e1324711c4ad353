"""The CUDA kernel of max pooling (see `kernels.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.kernels import build_number, build_split, index_of
from gpu_upsample.plan.dtypes import STORAGE


@dataclass(frozen=True)
class PoolSpec:
    """A specialisation of the pooling kernel.

    Attributes
    ----------
    source : str
        The stored scalar.
    indices : bool
        Whether positions are written, too.
    columns : int
        Length of the windows along a row, to be unrolled; 0 for a run-time length.
    edges : bool
        Whether some window reaches beyond the array.
    lanes : int
        Neighbouring outputs of a thread, all in one row.
    wide : bool
        Whether flat indices need 64 bits.
    numbered : bool
        Whether positions are numbered otherwise than flat within their plane.
    """

    source: str
    indices: bool
    columns: int
    edges: bool
    lanes: int
    wide: bool
    numbered: bool = False


def _lowest(source: str) -> float:
    """Return what no sample is below: as a number, or as the bits of a half type."""
    storage = STORAGE[source]
    if source.endswith("float16"):
        return storage.bits(-np.inf)
    return -np.inf if "float" in source else int(np.iinfo(storage.carrier).min)


def build_pool(machine: Any, spec: PoolSpec) -> Callable[..., None]:
    """Return the kernel that finds the largest sample of every window."""
    plus, mad, widen = machine.plus, machine.mad, machine.widen
    memory, load, store_lanes = machine.memory, machine.load, machine.store_lanes

    KIND, LOWEST = arithmetic.kind_of(spec.source), _lowest(spec.source)
    carrier, index = arithmetic.carrier_of(KIND), index_of(spec)
    number_of, split = build_number(machine, index), build_split(machine, index)
    HALF, FLOAT = spec.source.endswith("float16"), "float" in spec.source
    compared = arithmetic.accumulator_of(KIND) if HALF else carrier
    INDICES, COLUMNS, EDGES, LANES = spec.indices, spec.columns, spec.edges, spec.lanes
    NUMBERED, PAIR, NOWHERE = spec.numbered, min(2, LANES), 2**64 - 1 if spec.wide else 2**32 - 1

    @machine.inline
    def inside(place, n):
        """Say whether a place, which wraps around below zero, lies on an axis."""
        return not EDGES or place < n

    @machine.inline
    def look(x, base, begin, place, values, best, at, lane):
        """Let a sample of a row compete for a lane."""
        position = plus(begin, place)
        value = load(x, plus(base, position))
        if HALF:
            rank = widen(KIND, value)
        else:
            rank = value
        better = rank > best[lane]
        if FLOAT:
            better = better | (rank != rank)
        if INDICES:
            better = better | (at[lane] == index(NOWHERE))
        if better:
            values[lane], best[lane] = value, rank
            if INDICES:
                at[lane] = position

    def kernel(
        x, y, where, total,
        depth_in, rows_in, width_in, depth_out, rows_out, width_out,
        depth_taps, row_taps, column_taps, depth_stride, row_stride, column_stride,
        depth_padding, row_padding, column_padding, depth_dilation, row_dilation, column_dilation,
        plane_step, depth_step, row_step, column_step,
    ):  # fmt: skip
        one = index(1)
        q = index(number_of() * index(LANES))
        if q >= index(total):
            return
        row, j = split(q, index(width_out))
        slab, o = split(row, index(rows_out))
        plane, level = split(slab, index(depth_out))
        base = index(plane * index(index(depth_in) * index(index(rows_in) * index(width_in))))

        values, best = memory.local.array(LANES, carrier), memory.local.array(LANES, compared)
        at, columns = memory.local.array(LANES, index), memory.local.array(LANES, index)
        for lane in range(LANES):
            values[lane] = carrier(LOWEST)
            if HALF:
                best[lane] = widen(KIND, carrier(LOWEST))
            else:
                best[lane] = carrier(LOWEST)
            at[lane] = index(NOWHERE)
            columns[lane] = index(index(plus(j, index(lane)) * index(column_stride)) - index(column_padding))

        z, tap_z = index(index(level * index(depth_stride)) - index(depth_padding)), index(0)
        while tap_z < index(depth_taps):
            if inside(z, index(depth_in)):
                r, tap_r = index(index(o * index(row_stride)) - index(row_padding)), index(0)
                while tap_r < index(row_taps):
                    if inside(r, index(rows_in)):
                        begin = index(mad(z, index(rows_in), r) * index(width_in))
                        if COLUMNS:
                            for k in range(COLUMNS):
                                for lane in range(LANES):
                                    place = mad(index(k), index(column_dilation), columns[lane])
                                    if inside(place, index(width_in)):
                                        look(x, base, begin, place, values, best, at, lane)
                        else:
                            shift, tap = index(0), index(0)
                            while tap < index(column_taps):
                                for lane in range(LANES):
                                    place = plus(columns[lane], shift)
                                    if inside(place, index(width_in)):
                                        look(x, base, begin, place, values, best, at, lane)
                                shift, tap = plus(shift, index(column_dilation)), plus(tap, one)
                    r, tap_r = plus(r, index(row_dilation)), plus(tap_r, one)
            z, tap_z = plus(z, index(depth_dilation)), plus(tap_z, one)

        store_lanes(y, q, values, LANES)
        if INDICES:
            pair = memory.local.array(PAIR, types.int64)
            for half in range(LANES // PAIR):
                for lane in range(PAIR):
                    position = at[half * PAIR + lane]
                    if NUMBERED:
                        line, column_in = split(position, index(width_in))
                        slice_in, row_in = split(line, index(rows_in))
                        number = mad(plane, index(plane_step), index(slice_in * index(depth_step)))
                        position = mad(column_in, index(column_step), mad(row_in, index(row_step), number))
                    pair[lane] = types.int64(position)
                store_lanes(where, plus(q, index(half * PAIR)), pair, PAIR)

    return kernel


def pool_signature(spec: PoolSpec) -> Any:
    """Return the types of the pooling kernel's parameters."""
    array = types.CPointer(arithmetic.carrier_of(arithmetic.kind_of(spec.source)))
    return types.void(array, array, types.CPointer(types.int64), *[types.uint64] * 23)
