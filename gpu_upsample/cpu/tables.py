"""Tables of what a kernel does to a row, vector by vector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.cpu.permute import picking_cost, register_size

Ints = NDArray[np.int64]

# Strides that are tried, and columns on which each is judged.
_MAX_STRIDES, _SAMPLED_COLUMNS = 8, 512

MAX_REGISTERS = 8
"""Registers at most of which the samples of a vector are picked."""


@dataclass(frozen=True)
class Blocks:
    """A row of outputs in vectors of neighbouring scalars, and where the samples of each vector lie.

    Attributes
    ----------
    column : ndarray of int64, shape (blocks, lanes)
        Column of every lane; the lanes beyond the end of the row repeat its last one.
    base : ndarray of int64, shape (blocks,)
        The first of the scalars that the lanes start at.
    offset : ndarray of int64, shape (blocks, lanes)
        Where each lane starts, counted from there.
    registers : int
        How many registers hold all those scalars, one or pairs of them; 0 if these are too many to pick from.
    itemsize : int
        Bytes of a sample.
    stride : int
        Scalars of the row from one vector to the next: all lanes, or those of whole columns where these lie less far
        apart.

    Examples
    --------
    >>> blocks = blocks_of(np.array([0, 0, 1, 1, 2, 2]), 1, 4, 4)
    >>> blocks.base, blocks.registers, blocks.stride
    (array([0, 2]), 1, 4)
    >>> blocks.offset
    array([[0, 0, 1, 1],
           [0, 0, 0, 0]])
    """

    column: Ints
    base: Ints
    offset: Ints
    registers: int
    itemsize: int
    stride: int

    @property
    def index(self) -> NDArray[Any]:
        """The offsets as kernels take them: bytes, if registers hold all scalars."""
        return self.offset.astype(np.uint8 if self.registers else np.uint32)

    def cost(self, taps: int, length: int, kind: NDArray[np.uint64]) -> float:
        """Return about how many instructions a row takes.

        Parameters
        ----------
        taps : int
            Samples of a window.
        length : int
            How many of them are picked from registers that are loaded once, all or one.
        kind : ndarray of uint64, shape (columns,)
            A number that columns of the same weights share.
        """
        lanes = self.offset.shape[1]
        pick: float = 2 * lanes
        if self.registers:
            pick = picking_cost(self.registers, self.itemsize, lanes) + 2 * self.registers / length
        # Where a vector's places or weights are not those of the one before, their tables are loaded.
        of_lanes = kind[self.column]
        changes = (self.offset[1:] != self.offset[:-1]) | (of_lanes[1:] != of_lanes[:-1])
        loads = int(np.count_nonzero(changes.any(axis=1)))
        return len(self.base) * (taps * (pick + 1) + 3) + loads * (taps + 7)


def blocks_of(
    start: Ints, inner: int, lanes: int, itemsize: int, weight: NDArray[Any] | None = None, length: int = 1
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
    length : int, optional
        How many samples of a window are picked from registers that are loaded once, all or one.
    """
    some = start[:_SAMPLED_COLUMNS]
    taps, kind = 1, np.zeros(len(some), np.uint64)
    if weight is not None:
        taps, kind = weight.shape[1], _fingerprints(weight[: len(some)])
    reach = (length - 1) * inner
    # Whole columns waste lanes, but their samples lie less far apart, and at many ratios all such vectors are alike.
    strides = dict.fromkeys((lanes, *range(lanes - lanes % inner, lanes // 2, -inner)[:_MAX_STRIDES]))
    best, lowest = lanes, inf
    for stride in strides:
        # What vectors of one register take at least; the shorter the stride, the more there are.
        if -(-len(some) * inner // stride) * (taps * (2 + 2 / length) + 3) >= lowest:
            break
        cost = _blocks(some, inner, lanes, itemsize, reach, stride).cost(taps, length, kind)
        if cost < lowest:
            best, lowest = stride, cost
    return _blocks(start, inner, lanes, itemsize, reach, best)


def _blocks(start: Ints, inner: int, lanes: int, itemsize: int, reach: int, stride: int) -> Blocks:
    """Return the vectors of a row that begin `stride` scalars apart; `reach` is how far a window's samples reach."""
    width = len(start) * inner
    scalar = np.minimum(np.arange(0, width, stride)[:, None] + np.arange(lanes), width - 1)
    column, channel = np.divmod(scalar, inner)
    place = start[column] * inner + channel
    base = place.min(axis=1)
    offset = place - base[:, None]
    held = register_size(itemsize) // itemsize
    registers = _registers(int(offset[:, :stride].max()) + reach + 1, held)
    # An index is a byte. To pick the samples one by one takes two instructions for each.
    if registers > min(MAX_REGISTERS, 256 // held) or picking_cost(registers, itemsize, lanes) > 2 * lanes:
        return Blocks(column, base, offset, 0, itemsize, stride)
    return Blocks(column, base, np.minimum(offset, registers * held - 1 - reach), registers, itemsize, stride)


def _registers(scalars: int, held: int) -> int:
    """Return how many registers hold so many scalars: one, or pairs.

    A last pair costs no more than its half, and takes no kernel of its own.
    """
    needed = -(-scalars // held)
    return needed if needed == 1 else needed + needed % 2


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
