"""Tables of what a kernel does to a row, vector by vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# How many strides are tried, on how many columns.
_STRIDES, _ENOUGH = 8, 512

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
        How many registers of samples hold all those scalars, one or pairs; 0 if these are too many to pick from.
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

    def cost(self, taps: int, length: int, kind: NDArray[Any]) -> float:
        """Return about how many instructions a row takes.

        Parameters
        ----------
        taps : int
            Samples of a window.
        length : int
            How many of them are picked from registers that are loaded once, all or one.
        kind : ndarray, shape (columns,)
            What columns of the same weights have in common.
        """
        lanes = self.offset.shape[1]
        if self.spread:  # an instruction picks from two registers, another chooses between two pairs of them
            picked = taps * (3 * -(-self.spread // 2) - 1) / 2 + 2 * self.spread * taps / length
        else:
            picked = 2 * lanes * taps
        changes = (np.diff(self.offset, axis=0) != 0) | (np.diff(kind[self.column], axis=0) != 0)
        loads = int(np.count_nonzero(changes.any(axis=1)))  # of other tables than those of the vector before
        return len(self.base) * (picked + taps + 3) + loads * (taps + 7)


def blocks_of(
    start: Ints, inner: int, lanes: int, held: int, weight: NDArray[Any] | None = None, length: int = 1
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
    held : int
        Samples of a register.
    weight : ndarray, shape (columns, taps), optional
        The weights of the columns, where these are no copies.
    length : int, optional
        How many samples of a window are picked from registers that are loaded once, all or one.
    """
    # Whole columns waste lanes, but their samples lie less far apart, and at many ratios all such vectors are alike.
    strides = dict.fromkeys((lanes, *range(lanes - lanes % inner, lanes // 2, -inner)[:_STRIDES]))
    taps = 1 if weight is None else weight.shape[1]
    some = np.zeros((1, 1)) if weight is None else weight[:_ENOUGH]
    kind = np.broadcast_to((some * np.sqrt(np.arange(1, taps + 1))).sum(axis=1), min(len(start), _ENOUGH))
    reach = (length - 1) * inner

    def cost(stride: int) -> float:
        return _blocks(start[:_ENOUGH], inner, lanes, held, reach, stride).cost(taps, length, kind)

    return _blocks(start, inner, lanes, held, reach, min(strides, key=cost))


def _blocks(start: Ints, inner: int, lanes: int, held: int, reach: int, stride: int) -> Blocks:
    width = len(start) * inner
    scalar = np.minimum(np.arange(0, width, stride)[:, None] + np.arange(lanes), width - 1)
    column, channel = np.divmod(scalar, inner)
    place = start[column] * inner + channel
    base = place.min(axis=1)
    offset = place - base[:, None]
    needed = (int(offset[:, :stride].max()) + reach) // held + 1
    needed += needed & 1 if needed > 1 else 0  # a last pair costs no more than its half, and takes no kernel of its own
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
    factors = np.random.default_rng(0).integers(1 << 63, size=joined.shape[1], dtype=np.uint64) | np.uint64(1)
    _, first, which = np.unique(joined @ factors, return_index=True, return_inverse=True)
    if not np.array_equal(joined[first][which], joined):  # two forms of one sum
        first = which = np.arange(blocks)
    return which.astype(np.int64), [np.ascontiguousarray(part[first]).ravel() for part in parts]
