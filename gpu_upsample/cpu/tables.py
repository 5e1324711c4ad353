"""Tables of what a kernel does to a row, vector by vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

MOST = 8
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
    spread : int
        How many registers of samples hold all those scalars; 0 if these are too many to pick from.
    stride : int
        Scalars of the row from one vector to the next: all lanes, or those of whole columns where these lie less far
        apart.

    Examples
    --------
    >>> blocks = blocks_of(np.array([0, 0, 1, 1, 2, 2]), 1, 4, 4)
    >>> blocks.base, blocks.spread, blocks.stride
    (array([0, 2]), 1, 4)
    >>> blocks.offset
    array([[0, 0, 1, 1],
           [0, 0, 0, 0]])
    """

    column: Ints
    base: Ints
    offset: Ints
    spread: int
    stride: int

    @property
    def index(self) -> NDArray[Any]:
        """The offsets as kernels take them: bytes, if registers hold all scalars."""
        return self.offset.astype(np.uint8 if self.spread else np.uint32)

    def loads(self) -> float:
        """Return how many registers are loaded for a row: samples, and places where these are not those of before."""
        if self.spread == 0:
            return np.inf
        others = np.count_nonzero((np.diff(self.offset, axis=0) != 0).any(axis=1))
        return len(self.base) * self.spread + int(others)


def blocks_of(start: Ints, inner: int, lanes: int, held: int, length: int = 1) -> Blocks:
    """Return the vectors of a row of columns of `inner` scalars, whose first sample is column `start` of the input.

    A register holds `held` samples, and the columns have `length` samples each.
    """
    reach, columns = (length - 1) * inner, lanes - lanes % inner
    dense = _blocks(start, inner, lanes, held, reach, lanes)
    if inner == 1 or (dense.spread and columns < lanes * 7 / 8):  # too many lanes would be wasted
        return dense
    return min(dense, _blocks(start, inner, lanes, held, reach, columns), key=Blocks.loads)


def _blocks(start: Ints, inner: int, lanes: int, held: int, reach: int, stride: int) -> Blocks:
    width = len(start) * inner
    scalar = np.minimum(np.arange(0, width, stride)[:, None] + np.arange(lanes), width - 1)
    column, channel = np.divmod(scalar, inner)
    place = start[column] * inner + channel
    base = place.min(axis=1)
    offset = place - base[:, None]
    needed = (int(offset[:, :stride].max()) + reach) // held + 1
    if needed > min(MOST, 256 // held):  # an index is a byte
        return Blocks(column, base, offset, 0, stride)
    return Blocks(column, base, np.minimum(offset, needed * held - 1 - reach), needed, stride)


def distinct(*parts: NDArray[Any]) -> tuple[Ints, list[NDArray[Any]]]:
    """Return which of a few forms each vector has, and the parts of the forms as flat tables.

    At a whole ratio almost all vectors differ in nothing but their place: a form that repeats is stored once, and
    stays in the first cache.

    Parameters
    ----------
    *parts : ndarray, shape (blocks, ...)
        What must be equal for two vectors to have one form; 64 bytes per vector, or a multiple.

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
    factors = np.random.default_rng(0).integers(1 << 63, size=joined.shape[1], dtype=np.uint64) | np.uint64(1)
    _, first, which = np.unique(joined @ factors, return_index=True, return_inverse=True)
    if not np.array_equal(joined[first][which], joined):  # two forms of one sum
        first = which = np.arange(blocks)
    return which.astype(np.int64), [np.ascontiguousarray(part[first]).ravel() for part in parts]
