"""Tables of what a kernel does to a row, vector by vector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.cpu.features import VECTOR_BYTES
from gpu_upsample.cpu.permute import picking_cost, register_size, registers_at_once, results_of
from gpu_upsample.cpu.vectors import BYTES

Ints = NDArray[np.int64]

_PARTS = BYTES // VECTOR_BYTES  # registers of a vector of sums

# Strides that are tried, and columns on which each is judged.
_MAX_STRIDES, _SAMPLED_COLUMNS = 8, 512

MAX_REGISTERS = 8
"""Registers at most from which a register of samples is picked."""


@dataclass(frozen=True)
class Blocks:
    """A row of outputs in vectors of neighbouring scalars, and where the samples of each vector lie.

    Attributes
    ----------
    column : ndarray of int64, shape (blocks, lanes)
        Column of every lane; the lanes beyond the end of the row repeat its last one.
    base : ndarray of int64, shape (blocks, results)
        The first of the scalars that the lanes start at: of each register of the vector, or of all together.
    offset : ndarray of int64, shape (blocks, lanes)
        Where each lane starts, counted from there.
    registers : int
        How many registers hold all scalars for one register of the vector; 0 if these are too many to pick from.
    itemsize : int
        Bytes of a sample.
    length : int
        How many samples of a window are picked from registers that are loaded once, all or one.
    stride : int
        Scalars of the row from one vector to the next: all lanes, or those of whole columns where these lie less far
        apart.

    Examples
    --------
    >>> blocks = blocks_of(np.array([0, 0, 1, 1, 2, 2]), 1, 4, 4)
    >>> blocks.base, blocks.registers, blocks.stride
    (array([[0],
           [2]]), 1, 4)
    >>> blocks.offset
    array([[0, 0, 1, 1],
           [0, 0, 0, 0]])
    """

    column: Ints
    base: Ints
    offset: Ints
    registers: int
    itemsize: int
    length: int
    stride: int

    @property
    def index(self) -> NDArray[Any]:
        """The offsets as kernels take them: bytes, if registers hold all scalars."""
        return self.offset.astype(np.uint8 if self.registers else np.uint32)

    def cost(self, taps: int, kind: NDArray[np.uint64]) -> float:
        """Return about how many instructions a row takes.

        Parameters
        ----------
        taps : int
            Samples of a window.
        kind : ndarray of uint64, shape (columns,)
            A number that columns of the same weights share.
        """
        lanes = self.offset.shape[1]
        pick = _picking(self.registers, self.itemsize, lanes, self.length) if self.registers else 2 * lanes
        # Where a vector's places or weights are not those of the one before, their tables are loaded.
        of_lanes = kind[self.column]
        changes = (self.offset[1:] != self.offset[:-1]) | (of_lanes[1:] != of_lanes[:-1])
        loads = int(np.count_nonzero(changes.any(axis=1)))
        return _vectors_cost(len(self.base), taps, pick) + loads * (taps + 7) * _PARTS


def _picking(registers: int, itemsize: int, lanes: int, length: int) -> float:
    """Return about how many instructions load registers and pick a tap from them: a line that is not aligned is two."""
    lines = registers * results_of(lanes, itemsize) * register_size(itemsize) / BYTES
    return picking_cost(registers, itemsize, lanes) + 2 * lines / length


def _vectors_cost(number: int, taps: int, pick: float) -> float:
    """Return about how many instructions so many vectors take, without their tables."""
    return number * (taps * (pick + _PARTS) + 3 * _PARTS)


def blocks_of(
    start: Ints,
    inner: int,
    lanes: int,
    itemsize: int,
    weight: NDArray[Any] | None = None,
    lengths: tuple[int, ...] = (1,),
) -> Blocks:
    """Return the vectors of a row of columns of `inner` scalars that take the fewest instructions.

    Parameters
    ----------
    start : ndarray of int64, shape (columns,)
        The first sample of each column's window.
    inner : int
        Scalars of a column.
    lanes : int
        Scalars of a vector.
    itemsize : int
        Bytes of a sample.
    weight : ndarray, shape (columns, taps), optional
        The weights of the columns, where these are no copies.
    lengths : tuple of int, optional
        How many samples of a window may be picked from registers that are loaded once: one, or all and one.
    """
    some = start[:_SAMPLED_COLUMNS]
    taps, kind = 1, np.zeros(len(some), np.uint64)
    if weight is not None:
        taps, kind = weight.shape[1], _fingerprints(weight[: len(some)])
    # Whole columns waste lanes, but their samples lie less far apart, and at many ratios all such vectors are alike.
    strides = dict.fromkeys((lanes, *range(lanes - lanes % inner, lanes // 2, -inner)[:_MAX_STRIDES]))
    best, lowest, at_once = None, inf, False
    for length in lengths:
        if at_once:  # nothing is faster
            break
        least = min(2 * lanes, _picking(1, itemsize, lanes, length))
        for stride in strides:
            # The shorter the stride, the more vectors there are.
            if _vectors_cost(-(-len(some) * inner // stride), taps, least) >= lowest:
                break
            blocks = _blocks(some, inner, lanes, itemsize, length, stride)
            cost = blocks.cost(taps, kind) if blocks.registers or length == 1 else inf
            if cost < lowest:
                best, lowest = blocks, cost
                at_once = stride == lanes and 0 < blocks.registers <= registers_at_once(itemsize)
    assert best  # samples that are picked one by one may lie anywhere
    if len(some) < len(start):
        best = _blocks(start, inner, lanes, itemsize, best.length, best.stride)
    return best if best.registers or best.length == 1 else blocks_of(start, inner, lanes, itemsize, weight)


def _blocks(start: Ints, inner: int, lanes: int, itemsize: int, length: int, stride: int) -> Blocks:
    """Return the vectors of a row, `stride` scalars apart; registers hold `length` samples of a window."""
    width, reach = len(start) * inner, (length - 1) * inner
    scalar = np.minimum(np.arange(0, width, stride)[:, None] + np.arange(lanes), width - 1)
    column, channel = np.divmod(scalar, inner)
    place = start[column] * inner + channel
    held = register_size(itemsize) // itemsize
    base, offset = _split(place, results_of(lanes, itemsize))
    registers = _registers(int(offset[:, :stride].max()) + reach + 1, held, registers_at_once(itemsize))
    # An index is a byte. To pick the samples one by one takes a load and often another instruction for each.
    if registers > min(MAX_REGISTERS, 256 // held) or picking_cost(registers, itemsize, lanes) > 1.5 * lanes:
        return Blocks(column, *_split(place, 1), 0, itemsize, length, stride)
    offset = np.minimum(offset, registers * held - 1 - reach)
    return Blocks(column, base, offset, registers, itemsize, length, stride)


def _split(place: Ints, parts: int) -> tuple[Ints, Ints]:
    """Return the least number in each part of a row, and how far those of the part lie behind it."""
    split = place.reshape(len(place), parts, -1)
    base = split.min(axis=2)
    return base, (split - base[..., None]).reshape(place.shape)


def _registers(scalars: int, held: int, at_once: int) -> int:
    """Return how many registers hold so many scalars: as many as an instruction picks from, or a multiple.

    The last ones of a multiple cost no more than a part of them, and take no kernel of their own.
    """
    needed = -(-scalars // held)
    return needed if needed <= at_once else -(-needed // at_once) * at_once


def distinct(*parts: NDArray[Any]) -> tuple[Ints, list[NDArray[Any]]]:
    """Return which of a few forms each vector has, and the parts of the forms as flat tables.

    At a whole ratio almost all vectors differ in nothing but their place: a form that repeats is stored once, and
    stays in the first cache.

    Parameters
    ----------
    *parts : ndarray, shape (blocks, ...)
        What must be equal for two vectors to have one form; 8 bytes per vector, or a multiple.

    Examples
    --------
    >>> index = np.array([[0, 1], [0, 2], [0, 1]]).repeat(4, axis=1)
    >>> which, (table,) = distinct(index)
    >>> len(table), np.array_equal(table.reshape(-1, 8)[which], index)
    (16, True)
    """
    blocks = len(parts[0])
    words = [np.ascontiguousarray(part).reshape(blocks, -1).view(np.uint64) for part in parts]
    joined = np.concatenate(words, axis=1)
    _, first, which = np.unique(_fingerprints(joined), return_index=True, return_inverse=True)
    # `np.unique` on whole rows is slower. Two forms may have one fingerprint.
    if not np.array_equal(joined[first][which], joined):
        first = which = np.arange(blocks)
    return which.astype(np.int64), [np.ascontiguousarray(part[first]).ravel() for part in parts]


def _fingerprints(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a number for each row of items of 8 bytes; those of rows that differ are equal by accident alone."""
    return np.ascontiguousarray(rows).view(np.uint64) @ _factors(rows.shape[1])


@lru_cache(maxsize=16)
def _factors(number: int) -> NDArray[np.uint64]:
    """Return so many odd numbers at random, the same each time."""
    return np.random.default_rng(0).integers(1 << 63, size=number, dtype=np.uint64) | np.uint64(1)
