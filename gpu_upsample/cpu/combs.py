"""Outputs of a transposed convolution that are summed over the same samples; and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import gcd, inf, prod

import numpy as np

from gpu_upsample.cpu.tiles import rows_for
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.windows import Reach, smallest_tap


@dataclass(frozen=True)
class Tooth:
    """Phases of a comb that are summed over the same of its pairs.

    Output ``j`` of phase ``q`` is ``first[q] + j * step``, if there is such an output. Its pairs are those of the comb
    from `begin` on, the first with tap ``tap[q]``.
    """

    first: tuple[int, ...]
    tap: tuple[int, ...]
    begin: int
    pairs: int


@dataclass(frozen=True)
class Comb:
    """Evenly spaced outputs along an axis, in one or more phases, all summed over the same samples by other taps.

    Pair ``t`` of output ``j`` is sample ``place + j * place_step + t * pair_step``, for ``j < count`` and
    ``t < pairs``, if there is such a sample; else there is no such pair. The tap grows by `tap_step` from pair to pair.
    """

    teeth: tuple[Tooth, ...]
    step: int
    count: int
    tap_step: int
    pairs: int
    place: int
    place_step: int
    pair_step: int


SHORT_STRIDE = 4
"""Samples of neighbouring outputs that lie up to so far apart are read in vectors, with all between."""

# Cycles to bring a factor into its panel.
_FACTOR = 2.6

Axes = tuple[Comb, ...]
"""A comb of each axis."""


def combs_of_axis(axis: Reach, joined: bool) -> tuple[Comb, ...]:
    """Return the combs of an axis: a phase is every `stride`-th output, and phases that see the same samples, a comb.

    Parameters
    ----------
    axis : Reach
        The windows that reach its outputs.
    joined : bool
        Whether all phases are one comb. Then some see fewer of its samples than others, and some see those of others
        one or more outputs later, so that at either end not all outputs exist.

    Examples
    --------
    >>> from gpu_upsample.plan.windows import reach
    >>> axis = reach(3, 6, kernel=4, stride=2, padding=1, dilation=1)
    >>> [(comb.teeth[0].first, comb.place, comb.count) for comb in combs_of_axis(axis, joined=False)]
    [((0,), 0, 3), ((1,), 1, 3)]
    >>> [(comb.teeth[0].first, comb.place, comb.count) for comb in combs_of_axis(axis, joined=True)]
    [((-1, 0), 0, 4)]
    >>> combs_of_axis(reach(3, 6, kernel=3, stride=2, padding=1, dilation=1), joined=True)[0].teeth
    (Tooth(first=(0,), tap=(1,), begin=1, pairs=1), Tooth(first=(1,), tap=(0,), begin=0, pairs=2))
    """
    first = np.arange(min(axis.stride, axis.n_out))
    place = first + axis.padding
    tap = smallest_tap(place, axis.stride, axis.dilation)
    reached = (place % gcd(axis.stride, axis.dilation) == 0) & (tap < axis.kernel)
    pairs = np.where(reached, -(-(axis.kernel - tap) // axis.tap_step), 0)
    window = np.where(reached, (place - tap * axis.dilation) // axis.stride, 0)
    count = -(-(axis.n_out - first) // axis.stride)
    alike = np.zeros((len(first), 3), np.int64) if joined else np.stack([pairs, window, count], axis=-1)
    combs = []
    for kind in np.unique(alike, axis=0):
        own = (alike == kind).all(axis=1).nonzero()[0]
        most = int(pairs[own].max())
        nearest = window[own][pairs[own] == most].min()
        # A phase of fewer pairs has one less, or none. It begins with the comb's second if its own first comes before.
        begin = np.clip(-(-(nearest - window[own]) // axis.window_step), 0, most - pairs[own])
        later = np.where(pairs[own] > 0, window[own] + begin * axis.window_step - nearest, 0)
        begins = first[own] - later * axis.stride
        teeth: dict[tuple[int, int], list[int]] = {}
        for phase in np.argsort(begins).tolist():
            teeth.setdefault((int(begin[phase]), int(pairs[own[phase]])), []).append(phase)
        comb = Comb(
            teeth=tuple(
                Tooth(tuple(begins[phases].tolist()), tuple(tap[own[phases]].tolist()), *pairs_seen)
                for pairs_seen, phases in teeth.items()
            ),
            step=axis.stride,
            count=int((count[own] + later).max()),
            tap_step=axis.tap_step,
            pairs=most,
            place=int(nearest),
            place_step=1,
            pair_step=-axis.window_step,
        )
        combs.append(comb)
    return tuple(combs)


def comb_of_windows(axis: Reach) -> Comb:
    """Return the outputs along an axis of an adjoint: one phase, of which every output sees as many samples."""
    return Comb(
        teeth=(Tooth(first=(0,), tap=(0,), begin=0, pairs=axis.kernel),),
        step=1,
        count=axis.n_windows,
        tap_step=1,
        pairs=axis.kernel,
        place=-axis.padding,
        place_step=axis.stride,
        pair_step=axis.dilation,
    )


@kept
def combs_of(step: ConvTransposeStep) -> tuple[tuple[Comb, ...], ...]:
    """Return the combs of each axis, joined where the sums take less time so."""
    if step.adjoint:
        return tuple((comb_of_windows(axis),) for axis in step.axes)
    ways = product(*({combs_of_axis(axis, joined) for joined in (False, True)} for axis in step.axes))
    return min(ways, key=lambda combs: _cycles(combs, step))


def teeth_of(axes: Axes) -> tuple[tuple[Tooth, ...], ...]:
    """Return every choice of a tooth of each axis."""
    return tuple(product(*(comb.teeth for comb in axes)))


def sums_together(teeth: tuple[Tooth, ...], step: ConvTransposeStep) -> int:
    """Return how many sums are formed over the same samples."""
    return prod(len(tooth.first) for tooth in teeth) * step.channels_out


def tile_cycles(step: ConvTransposeStep) -> float:
    """Return about how many cycles the sums of an image and group take in tiles: for ever, with channels last."""
    if step.channels_last:
        return inf
    factors = prod(step.kernel) * step.channels_in * step.channels_out * step.parts**2
    # The sums themselves take a little longer than in proportion to each other.
    return 1.1 * _cycles(combs_of(step), step) + _FACTOR * factors / max(1, step.batch)


def _cycles(combs: tuple[tuple[Comb, ...], ...], step: ConvTransposeStep) -> float:
    """Return the same for some combs, in their proportion to each other.

    The figures are cycles as measured on an EPYC with AVX-512. Outputs and their samples have to be found, and samples
    to be brought in order, which the sums that are formed together share. The rows of blocks are filled up.
    """
    choices = tuple(product(*combs))
    rows = rows_for(max(sums_together(teeth, step) for axes in choices for teeth in teeth_of(axes)))
    time, gathered = 0.0, 1.3 if step.adjoint and step.stride > SHORT_STRIDE else 0.35
    for axes in choices:
        pairs = prod(comb.pairs for comb in axes)
        position = 55 + (1 + gathered * step.channels_in) * pairs
        for teeth in teeth_of(axes):
            together, length = sums_together(teeth, step), prod(tooth.pairs for tooth in teeth) * step.channels_in
            position += length * (-(-together // rows) * rows) / 32 + together + 4
        time += prod(comb.count for comb in axes) * position
    return time
