"""Outputs of a transposed convolution that are summed over the same samples; and whether these sums suit tiles."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

import numpy as np

from gpu_upsample.cpu.tiles import rows_for
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.windows import Reach, smallest_tap


@dataclass(frozen=True)
class Comb:
    """Evenly spaced outputs along an axis, in one or more phases, all summed over the same samples by other taps.

    Output ``j`` of phase ``q`` is ``first[q] + j * step``, for ``j < count``. Its pair ``t`` is sample
    ``place + j * place_step + t * pair_step`` and tap ``tap[q] + t * tap_step``, for ``t < pairs``, if there is such a
    sample; else there is no such pair.
    """

    first: tuple[int, ...]
    step: int
    count: int
    tap: tuple[int, ...]
    tap_step: int
    pairs: int
    place: int
    place_step: int
    pair_step: int


def combs_of_axis(axis: Reach) -> tuple[Comb, ...]:
    """Return the combs of an axis: a phase is every `stride`-th output, and phases that see the same samples, a comb.

    Examples
    --------
    >>> from gpu_upsample.plan.windows import reach
    >>> [(comb.first, comb.tap, comb.place) for comb in combs_of_axis(reach(3, 6, 2, 2, 0, 1))]  # one window each
    [((0, 1), (0, 1), 0)]
    >>> [(comb.first, comb.tap, comb.place) for comb in combs_of_axis(reach(3, 6, 4, 2, 1, 1))]
    [((0,), (1,), 0), ((1,), (0,), 1)]
    """
    first = np.arange(min(axis.stride, axis.n_out))
    place = first + axis.padding
    tap = smallest_tap(place, axis.stride, axis.dilation)
    reached = (place % gcd(axis.stride, axis.dilation) == 0) & (tap < axis.kernel)
    pairs = np.where(reached, -(-(axis.kernel - tap) // axis.tap_step), 0)
    window = np.where(reached, (place - tap * axis.dilation) // axis.stride, 0)
    count = -(-(axis.n_out - first) // axis.stride)
    phases: dict[tuple[int, int, int], list[int]] = {}
    for phase, alike in enumerate(zip(count.tolist(), pairs.tolist(), window.tolist(), strict=True)):
        phases.setdefault(alike, []).append(phase)
    return tuple(
        Comb(
            first=tuple(of_comb),
            step=axis.stride,
            count=n,
            tap=tuple(tap[of_comb].tolist()),
            tap_step=axis.tap_step,
            pairs=n_pairs,
            place=nearest,
            place_step=1,
            pair_step=-axis.window_step,
        )
        for (n, n_pairs, nearest), of_comb in phases.items()
    )


def comb_of_windows(axis: Reach) -> Comb:
    """Return the outputs along an axis of an adjoint: one phase, of which every output sees as many samples."""
    return Comb(
        first=(0,),
        step=1,
        count=axis.n_windows,
        tap=(0,),
        tap_step=1,
        pairs=axis.kernel,
        place=-axis.padding,
        place_step=axis.stride,
        pair_step=axis.dilation,
    )


@kept
def combs_of(step: ConvTransposeStep) -> tuple[tuple[Comb, ...], ...]:
    """Return the combs of each axis."""
    return tuple((comb_of_windows(axis),) if step.adjoint else combs_of_axis(axis) for axis in step.axes)


@kept
def takes_tiles(step: ConvTransposeStep) -> bool:
    """Return whether the sums are formed in tiles of many channels and phases, or row by row; the bits are the same."""
    if not step.adjoint and prod(axis.stride for axis in step.axes) > prod(step.kernel):
        return False  # most sums are empty
    phases = prod(max(len(comb.first) for comb in combs) for combs in combs_of(step))
    pairs = prod(max(comb.pairs for comb in combs) for combs in combs_of(step))
    return suit_tiles(pairs, step.channels_in, step.channels_out * phases)


def suit_tiles(pairs: int, channels_in: int, together: int) -> bool:
    """Return whether sums of ``pairs * channels_in`` products, `together` of them over the same samples, suit tiles.

    The figures are cycles per sum as measured on an x86 core with AVX-512. A tile has to find its samples and to bring
    them in order, which the sums that are formed together share, and its rows are filled up to whole blocks. Row by
    row, every product is a load and a store of the sum, too.

    Examples
    --------
    >>> suit_tiles(pairs=4, channels_in=512, together=256)
    True
    >>> suit_tiles(pairs=4, channels_in=1, together=1)      # depthwise
    False
    """
    length, rows = pairs * channels_in, rows_for(together)
    filled = -(-together // rows) * rows
    tiles = length * filled / together / 32 + (4 * pairs + length) / together + 2
    return tiles < 1.5 * length
