"""Transposed convolution on the CPU in tiles of many channels and phases: which sums are formed side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Given, Room
from gpu_upsample.cpu.combs import SHORT_STRIDE, combs_of, sums_together, teeth_of
from gpu_upsample.cpu.conv_transpose_arrays import arrays_of, conjugates
from gpu_upsample.cpu.conv_transpose_panels import BLOCKS, panel_kernel, turned_panel_kernel
from gpu_upsample.cpu.conv_transpose_tile_kernels import AWAY, COLUMNS, COMB, TOOTH, tile_kernel
from gpu_upsample.cpu.doubtful import run_exactly
from gpu_upsample.cpu.features import VECTOR_BYTES
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.tiles import VECTORS, register_lanes, rows_for
from gpu_upsample.cpu.vectors import BYTES, aligned
from gpu_upsample.cpu.work import Work, work
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep

# Blocks that a part has at least, as each finds the samples of its tiles anew, and at most, as it holds their sums.
_LEAST, _MOST = 8, 64
# Rows of the factors that are multiplied at once: those of a tile should stay in the first cache.
_DEPTH = 192
# Up to so many neighbours in every other place are written in vectors, if the processor has masks. More are written one
# position after another.
_FEW = 2
# A weight of up to so many bytes stays in the second cache: two tiles are multiplied by each part of it in turn, by
# which a few sums in between stay there, too. Each part of a larger weight comes from afar, for four tiles.
_NEAR_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class _Tiles:
    """What `panel_kernel` and `tile_kernel` read.

    Attributes
    ----------
    combs : ndarray of COMB, shape (combs,)
        Every choice of one comb per axis.
    teeth : ndarray of TOOTH, shape (teeth,)
        Those of each of these.
    outputs : ndarray of int64, shape (sums, COLUMNS)
        For each of the sums side by side, which output it is.
    bases : ndarray of int64, shape (numbers in the panels of one input channel / together,)
        Where the scalars of the weight begin that are brought into the panels together.
    offsets : ndarray of uint8 if near, else of int64, shape (numbers in the panels of one input channel,)
        How far from there each of them lies.
    together : int
        How many that are: the rows of a block for one pair, or for several pairs along the last axis.
    near : bool
        Whether those always lie in two vector registers.
    turned : bool
        Whether sums side by side are always channels, whose scalars lie as far apart as those of neighbouring channels.
    panel : int
        Numbers in the panels of a group.
    rows : int
        Sums side by side of a block.
    run : int
        How many of these are always neighbours in the output.
    """

    combs: Any
    teeth: Any
    outputs: Any
    bases: Any
    offsets: Any
    together: int
    near: bool
    turned: bool
    panel: int
    rows: int
    run: int


@kept
def _tiles(step: ConvTransposeStep) -> _Tiles:
    strides, parts = step.strides(step.size_out, step.channels_out), np.arange(step.parts)
    combs: list[tuple[Any, ...]] = []
    teeth: list[tuple[Any, ...]] = []
    outputs: list[Any] = []
    factors: list[Any] = []
    choices = list(product(*combs_of(step)))
    together = max(sums_together(of_axes, step) for axes in choices for of_axes in teeth_of(axes))
    rows = rows_for(together * step.parts)
    panel, run = 0, rows
    for axes in choices:
        counts, pairs, places = zip(*((axis.count, axis.pairs, axis.place) for axis in axes), strict=True)
        begin, firsts = len(teeth), []
        for of_axes in teeth_of(axes):
            begins, own = zip(*((tooth.begin, tooth.pairs) for tooth in of_axes), strict=True)
            phases = list(product(*(tooth.first for tooth in of_axes)))
            first = np.array(phases)
            away = (first[:, 0] * step.size_out[1] + first[:, 1]) * step.size_out[2] + first[:, 2]
            # The taps of a phase, one for each pair.
            axis_taps = [
                [np.arange(tooth.pairs) * axis.tap_step + tap for tap in tooth.tap]
                for axis, tooth in zip(axes, of_axes, strict=True)
            ]
            taps = np.array([np.ravel_multi_index(np.ix_(*of_phase), step.kernel) for of_phase in product(*axis_taps)])
            # Outputs that are neighbours are formed side by side.
            channel, number = np.divmod(np.arange(step.channels_out * len(phases)), len(phases))
            lies = np.stack([channel, channel * strides[1] + away[number]], axis=-1)[:, None]
            lies = lies * step.parts + parts[:, None]
            on_axes = np.broadcast_to(first[number][:, None], (*lies.shape[:2], 3))
            places_out = np.concatenate([lies, on_axes], axis=2).reshape(-1, COLUMNS)
            height = len(places_out)
            while height % run or (np.diff(places_out[:, AWAY].reshape(-1, run)) != 1).any():
                run //= 2
            above = (channel * step.weight_strides[2] + taps.reshape(len(phases), -1)[number].T) * step.parts
            above = (above[..., None] + parts).reshape(-1, height)
            blocks = -(-height // rows)
            filled = np.arange(blocks * rows).clip(max=height - 1)  # the last block is filled up with its last row
            tables = (sum(len(part) for part in table) for table in (outputs, factors))
            teeth.append((panel, height, begins, own, *tables))
            outputs.append(places_out)
            firsts.append(first)
            factors.append(above[:, filled].reshape(-1, blocks, rows).swapaxes(0, 1).reshape(-1, rows))
            panel += blocks * rows * prod(own) * step.channels_in * step.parts
        turns, most = prod(pairs[:2]) * step.channels_in, max(1, _DEPTH // max(pairs[2] * step.parts, 1))
        at_once = -(-turns // max(1, -(-turns // most)))  # about as many each time
        first = np.concatenate(firsts)
        spread = first.min(axis=0), first.max(axis=0)
        positions = step.batch * prod(counts)
        combs.append((positions, counts, pairs, places, *spread, max(1, at_once), begin, len(teeth)))
    table = np.array(teeth, TOOTH)
    bases, offsets, pairs_together, near = _collected(step, np.concatenate(factors), table["pairs"][:, 2])
    table["bases"] //= pairs_together
    turned = not near and step.parts == 1 and bool((table["height"] == step.channels_out).all())
    at_once, lies = pairs_together * rows, np.concatenate(outputs)
    return _Tiles(np.array(combs, COMB), table, lies, bases, offsets, at_once, near, turned, panel, rows, run)


def _collected(step: ConvTransposeStep, scalars: Any, taps: Any) -> tuple[Any, Any, int, bool]:
    """Return how the scalars of a weight are brought into the panels: as many together as lie in two registers.

    Where those of some pairs begin, how far from there each lies, for how many pairs, and whether they lie so near.
    """
    register, rows = BYTES // step.storage.itemsize, scalars.shape[1]
    for pairs in (4, 2, 1):
        if pairs > 1 and (step.parts > 1 or pairs * rows > register or (taps % pairs).any()):
            continue
        together = scalars.reshape(-1, pairs * rows)
        bases = together.min(axis=1, initial=2**62)
        offsets = (together - bases[:, None]).reshape(-1)
        near = step.parts == 1 and int(offsets.max(initial=0)) < 2 * register
        if near:
            break
    return bases, offsets.astype(np.uint8 if near else np.int64), pairs, near


@kept
def _panel_work(step: ConvTransposeStep) -> Work:
    """Return what brings the weight into the panels, that of each group in some parts."""
    tables, kind = _tiles(step), kind_of(step.storage.name)
    if tables.turned:
        kernel, taps = turned_panel_kernel(kind, tables.rows), prod(step.kernel)
        room = BLOCKS * tables.rows * (taps + BYTES // step.storage.itemsize)
        own: tuple[Any, ...] = (taps, Room(step.storage.carrier, (room,)))
    else:
        near = tables.together if tables.near else 0
        kernel, own = panel_kernel(kind, step.parts, tables.rows, conjugates(step), near), (tables.offsets,)
    cuts = -(-int(tables.teeth["height"].max()) // (tables.rows * BLOCKS))
    _, weight, _, _ = arrays_of(step)
    panels = Given(step.storage.accumulator, (step.groups * tables.panel,))
    same = (cuts, tables.panel, step.channels_in, step.weight_strides, tables.teeth, tables.bases, *own)
    return work(kernel, weight, panels, *same, rows=step.groups * cuts)


@kept
def _tile_work(step: ConvTransposeStep, threads: int, exact: int) -> tuple[Work, int]:
    """Return what forms the sums, and how many jobs that are for so many threads."""
    tables = _tiles(step)
    accumulator = np.dtype(step.storage.accumulator)
    real, lanes = accumulator.type, register_lanes(step.storage.accumulator)
    tile = lanes * VECTORS
    strides_in = step.strides(step.size_in, step.channels_in)
    strides_out = step.strides(step.size_out, step.channels_out)
    axes = [axis[0] for axis in combs_of(step)]  # those of one axis differ in none of these
    steps = ((axis.step, axis.place_step, axis.pair_step) for axis in axes)
    geometry = (step.size_in, step.size_out, *zip(*steps, strict=True), strides_in, strides_out)
    channels = step.groups * step.channels_in
    between = step.stride if step.adjoint and step.stride <= SHORT_STRIDE else 1
    # Behind this place, a vector would reach beyond the array; complex numbers are never read in vectors.
    room = step.batch * channels * prod(step.size_in) - lanes * between - (channels - 1) * strides_in[1]
    room = room if step.parts == 1 else -1
    apart = axes[2].step * step.parts
    apart = apart if VECTOR_BYTES == 64 and tables.run <= _FEW and apart == 2 * tables.run else tables.run
    together = 2 if tables.panel * accumulator.itemsize <= _NEAR_BYTES else 4
    spans = -(-int(tables.combs["positions"].max()) // (tile * together))
    blocks = -(-tables.teeth["height"] // tables.rows)
    of_comb = [blocks[comb["begin"] : comb["end"]] for comb in tables.combs]
    most = max(int(each.sum()) for each in of_comb)
    wanted = -(-4 * threads // (spans * step.groups))
    cuts = max(-(-most // _MOST), min(int(blocks.max()) // _LEAST, wanted), 1)
    pairs = tables.combs["pairs"]
    most_pairs, turns = int(pairs.prod(axis=1).max()), pairs[:, :2].prod(axis=1) * step.channels_in
    rows = max(1, int((tables.combs["turns"] * pairs[:, 2]).max()) * step.parts)
    held = 1
    if (turns > tables.combs["turns"]).any():  # then the sums of all blocks wait
        held = together * max(int((-(-each // cuts)).sum()) for each in of_comb)
    jobs = step.groups * spans * cuts
    x, _, bias, out = arrays_of(step)
    panels, doubtful = Given(real, (step.groups, tables.panel)), Given(np.bool_, (jobs,))
    forming = work(
        tile_kernel(kind_of(step.storage.name), step.parts, lanes, between, tables.rows, tables.run, apart, exact),
        x, panels, bias, out, doubtful,
        cuts, spans, step.channels_in, step.channels_out, tables.combs, tables.teeth, tables.outputs, geometry, room,
        real(0.0),
        Room(real, (together, rows * tile)), Room(np.uint16, (together, rows * VECTORS)),
        Room(real, (held * tables.rows * tile,)), Room(real, (lanes * tables.rows,)),
        Room(np.int64, (together, tile)), Room(np.int64, (together, 3, tile)), Room(np.int64, (together, tile)),
        Room(np.int64, (together, most_pairs * tile)),
        Room(np.uint8, (together, most_pairs, VECTORS)), Room(np.uint16, (together, most_pairs, VECTORS)),
        Room(np.bool_, (together,)), Room(np.uint16, (together, VECTORS, lanes)),
        Room(np.int64, (lanes,)), Room(np.int64, (lanes,)), Room(np.int64, (3, lanes)),
        Room(np.int64, (int(pairs.sum(axis=1).max()),)), Room(real, (lanes,)),
        rows=jobs, cost=out.nbytes * most_pairs * step.channels_in,
    )  # fmt: skip
    return forming, jobs


def run_by_tiles(step: ConvTransposeStep, x: Any, weight: Any, bias: Any, out: Any) -> None:
    """Compute a transposed convolution of flat arrays, channels first, in tiles; without a bias, that is empty."""
    panels = aligned(step.groups * _tiles(step).panel, step.storage.accumulator)
    _panel_work(step).run(weight, panels)
    run_exactly(partial(_tile_work, step, num_threads()), x, panels, bias, out)
