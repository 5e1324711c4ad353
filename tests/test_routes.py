"""Which steps a plan takes: a matter of speed; none changes what comes out by more than rounding."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from math import inf
from typing import Any

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample.cpu import (
    conv_transpose,
    conv_transpose_channels,
    conv_transpose_rows,
    conv_transpose_tiles,
    reduction,
    unpooling,
)
from gpu_upsample.cpu.combs import Comb, comb_of_windows, combs_of, combs_of_axis
from gpu_upsample.cpu.conv_transpose import WAYS, fastest_way
from gpu_upsample.cpu.conv_transpose_channels import run_by_channels
from gpu_upsample.cpu.conv_transpose_rows import run_by_rows
from gpu_upsample.cpu.conv_transpose_tiles import run_by_tiles
from gpu_upsample.cpu.record import ROOM
from gpu_upsample.cpu.tiles import register_lanes
from gpu_upsample.plan import steps
from gpu_upsample.plan.conv_transpose import ConvTransposeStep, conv_transpose_step
from gpu_upsample.plan.conv_transpose_backward import ConvTransposeBackwardStep
from gpu_upsample.plan.resample import plan_interpolate
from tests import tolerances
from tests.cases import noise
from tests.fences import fenced


def route(shape: tuple[int, ...], size: tuple[int, ...], mode: str = "bilinear") -> list[str]:
    """Return what the steps sum along."""
    plan = plan_interpolate(shape, "float32", size, None, mode, None, None, True, "channels_first")
    kinds = {(True, True): "both", (True, False): "rows", (False, True): "columns"}
    return [kinds[step.rows is not None, step.columns is not None] for step in plan.steps]


ROUTES: dict[str, tuple[tuple[int, ...], tuple[int, ...], list[str]]] = {
    "enlarging": ((1, 3, 64, 64), (128, 128), ["both"]),
    "shrinking a little": ((1, 3, 64, 64), (32, 32), ["both"]),
    "a thumbnail shortens the rows first": ((1, 3, 1080, 1920), (224, 224), ["rows", "columns"]),
    "wide and enlarged in height": ((1, 3, 64, 1920), (128, 224), ["both"]),
    "few results of long windows": ((1, 1, 640, 90), (4, 9), ["rows", "columns"]),
    "blocks": ((1, 1, 8, 4000), (8, 2), ["columns", "columns"]),
    "one axis": ((1, 1, 64, 64), (64, 128), ["columns"]),
}


@pytest.mark.parametrize(("shape", "size", "expected"), ROUTES.values(), ids=ROUTES)
def test_route(shape: tuple[int, ...], size: tuple[int, ...], expected: list[str]) -> None:
    assert route(shape, size) == expected


def test_routes_differ_by_rounding_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise((2, 40, 150), "float32")
    how: dict[str, Any] = {"size": (9, 11), "axes": (1, 2), "antialias": True}
    results = [gu.resize(x, **how)]
    monkeypatch.setattr(steps, "_shrinks_first", lambda *taps: False)
    for joins, expected in ((True, ["both"]), (False, ["columns", "columns"])):
        monkeypatch.setattr(steps, "_joins", lambda *_, joins=joins: joins)
        assert route((1, 2, 40, 150), (9, 11)) == expected
        how["fill_value"] = 1.0 + joins  # another plan than the cached one
        results.append(gu.resize(x, **how))
    exact = gu.resize(x.astype(np.float64), **how)
    for result in results:
        tolerances.assert_within(result, exact, np.abs(x).max())
    tolerances.assert_same_bits(results[1], results[2])  # joined or not, the sums are the same
    assert not np.array_equal(results[0], results[1])


# ---- transposed convolution on the CPU ----------------------------------------------------------------------
WIDE, DEEP = {"stride": 2, "padding": 1}, {"stride": 8, "padding": 4}
# The fastest way with channels first, and last.
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], Any, Any]] = {
    "DCGAN": ((8, 512, 8, 8), (512, 256, 4, 4), WIDE, run_by_tiles, run_by_channels),
    "FCN": ((1, 21, 64, 64), (21, 21, 16, 16), DEEP, run_by_tiles, run_by_rows),
    "volume": ((1, 128, 16, 16, 16), (128, 64, 2, 2, 2), {"stride": 2}, run_by_tiles, run_by_channels),
    "bilinear weights": ((1, 3, 64, 64), (3, 1, 16, 16), DEEP | {"groups": 3}, run_by_rows, run_by_rows),
    "depthwise": ((8, 64, 64, 64), (64, 1, 4, 4), WIDE | {"groups": 64}, run_by_rows, run_by_channels),
    "grouped": ((8, 64, 64, 64), (64, 16, 4, 4), WIDE | {"groups": 4}, run_by_rows, run_by_rows),
    "to RGB": ((8, 72, 32, 32), (72, 3, 5, 5), {"padding": 2}, run_by_rows, run_by_rows),
    "one product each": ((1, 1, 9, 9), (1, 1, 2, 2), {"stride": 2}, run_by_rows, run_by_rows),
    "a large weight of few samples": ((1, 128, 1, 1), (128, 512, 4, 4), {}, run_by_tiles, run_by_channels),
}


def convolution(
    shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], data_format: str = "channels_first"
) -> ConvTransposeStep:
    given = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1} | options
    rest = (data_format, "float32", False)
    shape = shape if data_format == "channels_first" else (shape[0], *shape[2:], shape[1])
    step = conv_transpose_step(shape, "float32", weight, "float32", None, None, len(shape) - 2, *given.values(), *rest)
    return step[1]


@pytest.mark.parametrize(("shape", "weight", "options", "first", "last"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_fastest_way(
    shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], first: Any, last: Any
) -> None:
    assert fastest_way(convolution(shape, weight, options, "channels_first")) == first
    assert fastest_way(convolution(shape, weight, options, "channels_last")) == last


@pytest.fixture
def take(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Return what makes all transposed convolutions take a way, or rows where they cannot."""

    def choose(way: Any) -> None:
        monkeypatch.setattr(conv_transpose, "fastest_way", lambda step: way if WAYS[way](step) < inf else run_by_rows)

    return choose


def combs(step: ConvTransposeStep, joined: bool) -> tuple[tuple[Comb, ...], ...]:
    """Return the combs of each axis, joined or not, whatever takes less time."""
    return tuple((comb_of_windows(axis),) if step.adjoint else combs_of_axis(axis, joined) for axis in step.axes)


# Whether phases are joined that see their samples one output later, or fewer of them.
JOINED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], bool]] = {
    "FSRCNN": ((1, 56, 128, 128), (56, 1, 9, 9), {"stride": 3, "padding": 4}, True),
    "windows of three": ((4, 64, 32, 32), (64, 32, 3, 3), {"stride": 2, "padding": 1}, True),
    "many channels of few samples": ((8, 512, 4, 4), (512, 256, 4, 4), {"stride": 2, "padding": 1}, False),
}


@pytest.mark.parametrize(("shape", "weight", "options", "joined"), JOINED.values(), ids=JOINED)
def test_phases_are_joined(
    shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], joined: bool
) -> None:
    step = convolution(shape, weight, options)
    assert combs(step, True) != combs(step, False)
    assert combs_of(step) == combs(step, joined)


LANES = register_lanes("float32")
FORMATS = "channels_first", "channels_last"
GEOMETRIES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((3, 5, 7, 9), (5, 3, 4, 3), {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2)}),
    ((2, 4, 6, 5), (4, 9, 3, 5), {"stride": (1, 2), "dilation": (3, 2), "padding": (2, 1), "groups": 2}),
    ((1, 6, 3, 4, 5), (6, 2, 2, 3, 1), {"stride": (2, 1, 3), "padding": (0, 1, 0), "output_padding": (1, 0, 2)}),
    ((2, 600, 40), (600, 5, 3), {"stride": 2}),  # more products of a sum than are added at once
    ((1, 3, 300), (3, 2, 700), {"stride": 1, "padding": 5}),
    ((1, 2, 130, 70), (2, 3, 2, 2), {"stride": 2}),
    ((2, 3, 20), (3, 4, 5), {"stride": 3, "dilation": 4, "padding": 1}),
    ((2, 5, 6, 7), (5, 21, 4, 4), {"stride": 2, "padding": 1}),
    ((1, 6, 9, 8), (6, 19, 7, 7), {"padding": 3, "groups": 2}),
    ((1, 16, 50), (16, 20, 16), {"stride": 8, "padding": 4}),
    ((1, 7, 9, 11), (7, 1, 9, 9), {"stride": 3, "padding": 4}),  # all phases see three, one of them later
    ((2, 300, 5, 6), (300, 5, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),  # one or two windows reach each
    ((1, 4, 4, 5, 33), (4, 3, 4, 4, 5), {"stride": 2, "padding": (1, 1, 2)}),
    ((2, 6, 50), (6, 7, 2), {"stride": 4, "padding": 1}),  # some are reached by none
    ((2, 6, 23), (6, 9, 7), {"stride": 5, "dilation": 3, "padding": 4}),
    ((1, 2, 1500), (2, 3, 5), {"stride": 2}),  # parts of a row
    ((1, 2, 100, 5), (2, 3, 2, 2), {"dilation": (40, 1), "padding": (20, 0)}),  # rows far apart
    ((1, 3, 4, 30), (3, 2, 2, 12), {"stride": (1, 9), "padding": (0, 2)}),  # more phases than are written together
    ((2, 4, 9, 40), (4, 1, 3, 8), {"stride": (2, 6), "padding": 1, "groups": 4}),
    ((1, 3, 1, 7), (3, 2, 1, 1), {"stride": (3, 20), "output_padding": (2, 19)}),
    *(((1, 40, n), (40, 24, 3), {"padding": 1}) for n in (LANES, LANES + 1, 2 * LANES, 2 * LANES + 1)),  # of a tile
]


GUARD = 1 << 12  # elements on either side of an output, more than a plane has


@pytest.mark.parametrize("special", ["none", "infinite", "infinite weight", "tiny"])
@pytest.mark.parametrize(
    ("dtype", "data_format"),
    [
        ("float32", "channels_first"),
        ("float32", "channels_last"),
        ("complex64", "channels_first"),
        pytest.param("complex64", "channels_last", marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize(("shape", "weight_shape", "options"), GEOMETRIES)
def test_all_ways_give_the_same_bits(
    shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    options: dict[str, Any],
    data_format: str,
    dtype: str,
    special: str,
    take: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, weight = noise(shape, dtype), noise(weight_shape, dtype, 1)
    if special == "infinite":  # nothing may be multiplied that is not there
        x.reshape(-1)[:: x.size // 3] = np.inf
    if special == "infinite weight":  # of the first and last taps, which the last and first outputs lack
        weight.reshape(-1)[[0, -1]] = np.inf
    if special == "tiny":  # products become 0 or -0.0
        x, weight = 1e-23 * x, 1e-23 * weight
    bias = None if special == "tiny" else noise((weight_shape[1] * options.get("groups", 1),), dtype, 2)
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if data_format == "channels_last" else x
    rank = len(shape) - 2
    forward, backward = (getattr(gu, f"conv_transpose{rank}d{which}") for which in ("", "_backward"))
    results = []
    tiles = ((run_by_tiles, True, 1 << 30), (run_by_tiles, False, 0))
    other = tiles if data_format == "channels_first" else ((run_by_channels, False, 0),)
    for way, joined, near in (*other, (run_by_rows, False, 0)):
        take(way)
        monkeypatch.setattr(conv_transpose_tiles, "combs_of", partial(combs, joined=joined))
        monkeypatch.setattr(conv_transpose_tiles, "_NEAR_BYTES", near)
        for made in (conv_transpose_tiles._tiles, conv_transpose_tiles._panel_work, conv_transpose_tiles._tile_work):
            made.cache_clear()
        y = forward(x, weight, bias, **options, data_format=data_format)
        guarded = np.full(y.size + 2 * GUARD, 7, dtype)
        forward(x, weight, bias, **options, data_format=data_format, out=guarded[GUARD:-GUARD].reshape(y.shape))
        assert (guarded[:GUARD] == 7).all()
        assert (guarded[-GUARD:] == 7).all()
        gradient = np.where(np.isfinite(y), y, 1).astype(dtype)
        needs = (True, False, False)
        results.append((y, backward(gradient, x, weight, needs=needs, **options, data_format=data_format)[0]))
    *others, by_rows = results
    for by_other in others:
        for of_other, of_rows in zip(by_other, by_rows, strict=True):
            tolerances.assert_same_bits(of_other, of_rows)


# How the weight is brought into the panels: whether scalars that are multiplied together lie near each other, and
# whether channels are turned.
PANELS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], bool, bool]] = {
    "phases of a channel": ((1, 512, 128), (512, 256, 16), {"stride": 8, "padding": 4}, True, False),
    "one phase of many channels": ((8, 512, 8, 8), (512, 256, 4, 4), {"stride": 2, "padding": 1}, False, True),
    "no stride": ((1, 16, 8, 8), (16, 20, 5, 5), {"padding": 2}, False, True),
    "phases far apart": ((1, 8, 9, 9), (8, 8, 20, 20), {"stride": (4, 1)}, False, False),
}


@pytest.mark.parametrize(("shape", "weight", "options", "near", "turned"), PANELS.values(), ids=PANELS)
def test_panels(
    shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], near: bool, turned: bool
) -> None:
    tables = conv_transpose_tiles._tiles(convolution(shape, weight, options))
    assert (tables.near, tables.turned) == (near, turned)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize(
    ("weight_shape", "options", "joined"),
    [
        ((9, 21, 4, 4), {"stride": 2, "padding": 1}, False),  # channels are turned
        (
            (9, 21, 3, 3),
            {"stride": 2, "padding": 1},
            True,
        ),  # every other output is written, with masks if there are any
        ((9, 4, 2, 4), {"stride": (1, 4)}, False),
    ],
)
def test_dtypes_of_panels(
    weight_shape: tuple[int, ...],
    options: dict[str, Any],
    joined: bool,
    dtype: str,
    take: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conv_transpose_tiles, "combs_of", partial(combs, joined=joined))
    x, weight = noise((2, 9, 7, 8), dtype), noise(weight_shape, dtype, 1)
    results = []
    for way in (run_by_tiles, run_by_rows):
        take(way)
        for made in (conv_transpose_tiles._tiles, conv_transpose_tiles._panel_work, conv_transpose_tiles._tile_work):
            made.cache_clear()
        results.append(gu.conv_transpose2d(x, weight, **options))
    tolerances.assert_same_bits(*results)


# What vectors of channels are: some of many, with a last one that is not full, a few together, or one of each group.
CHANNELS: list[tuple[int, tuple[int, ...], int]] = [
    (1, (3, 9 * LANES + 5, 4, 3), 1),
    (2, (4, 2 * LANES - 1, 2, 2), 2),
    (1, (40, 16 * LANES + 4, 3, 3), 1),  # more terms, at more positions, than are listed at once
    (3, (6, LANES, 2, 1), 3),
    (2, (6, 2 * LANES + 1, 1, 1), 2),
    *((n, (n, 1, 3, 2), n) for n in (LANES, LANES + 3, 5 * LANES + 1, 9 * LANES - 1)),
]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
@pytest.mark.parametrize(("groups", "weight_shape", "divisor"), CHANNELS)
def test_dtypes_of_channels(
    groups: int, weight_shape: tuple[int, ...], divisor: int, dtype: str, take: Callable[[Any], None]
) -> None:
    x, weight = noise((3, 12, 18, weight_shape[0]), dtype), noise(weight_shape, dtype, 1)
    options: dict[str, Any] = {"stride": (2, 1), "padding": (1, 0), "groups": groups, "data_format": "channels_last"}
    bias = noise((weight_shape[1] * divisor,), dtype, 2)
    results = []
    for way in (run_by_channels, run_by_rows):
        take(way)
        y = gu.conv_transpose2d(x, weight, bias, **options)
        results.append((y, gu.conv_transpose2d_backward(y, x, weight, needs=(True, False, False), **options)[0]))
    for by_channels, by_rows in zip(*results, strict=True):
        tolerances.assert_same_bits(by_channels, by_rows)


@pytest.mark.parametrize("groups", [1, 80])
@pytest.mark.parametrize("way", WAYS)
def test_threads_do_not_change_the_bits(way: Any, groups: int, use_threads: Any, take: Callable[[Any], None]) -> None:
    take(way)
    data_format = "channels_last" if way == run_by_channels else "channels_first"
    shape = (2, 9, 20, 80) if way == run_by_channels else (2, 80, 9, 20)
    x, weight = noise(shape, "float32"), noise((80, 70 if groups == 1 else 1, 4, 4), "float32", 1)
    weight.reshape(-1)[5] = np.inf
    options: dict[str, Any] = {"stride": 2, "padding": 1, "groups": groups, "data_format": data_format}
    results = []
    for threads in ("1", "2", "5"):
        use_threads(threads)
        y = gu.conv_transpose2d(x, weight, **options)
        gradient = np.where(np.isfinite(y), y, 1)
        results.append((y, gu.conv_transpose2d_backward(gradient, x, weight, needs=(True, False, False), **options)[0]))
    for other in results[1:]:
        for of_one, of_other in zip(results[0], other, strict=True):
            tolerances.assert_same_bits(of_one, of_other)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("way", WAYS)
def test_layers_without_outputs(way: Any, data_format: str, take: Callable[[Any], None]) -> None:
    take(way)
    for shape, weight_shape in (((2, 3, 5), (3, 0, 4)), ((0, 64, 9), (64, 64, 5))):
        x, weight = noise(shape, "float32"), noise(weight_shape, "float32", 1)
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if data_format == "channels_last" else x
        y = gu.conv_transpose1d(x, weight, stride=2, data_format=data_format)
        assert (y == 0).all()
        for part in gu.conv_transpose1d_backward(y, x, weight, stride=2, data_format=data_format):
            assert (part == 0).all()


@pytest.mark.skipif(sys.platform == "win32", reason="no pages are protected there")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("channels", "weight_shape", "groups"),
    [
        (24, (24, 16, 3, 3), 1),
        (16, (16, 20, 2, 2), 1),
        (37, (37, 1, 3, 5), 37),
        (18, (18, 7, 1, 3), 3),
        (2, (2, 1, 4, 4), 1),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_beyond_the_arrays_is_touched(
    way: Any,
    channels: int,
    weight_shape: tuple[int, ...],
    groups: int,
    dtype: str,
    take: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take(way)
    monkeypatch.setattr(reduction, "_SQUARE", 0)  # channels are laid out together wherever they can be
    last = way == run_by_channels
    for data_format in ("channels_last", "channels_first") if way == run_by_rows else (FORMATS[last],):
        shape = (2, 9, 7, channels) if data_format == "channels_last" else (2, channels, 9, 7)
        arrays = noise(shape, dtype), noise(weight_shape, dtype, 1), noise((weight_shape[1] * groups,), dtype, 2)
        options: dict[str, Any] = {"stride": (2, 1), "padding": 1, "groups": groups, "data_format": data_format}
        y = gu.conv_transpose2d(*arrays, **options)
        expected = gu.conv_transpose2d_backward(y, *arrays[:2], **options)
        for at_end, most in product((True, False), (reduction._MOST_BYTES, 20_000)):  # jobs of less at once
            monkeypatch.setattr(reduction, "_MOST_BYTES", most)
            reduction._reduction_work.cache_clear()
            x, weight, bias, gradient, *outs = (fenced(array, at_end) for array in (*arrays, y, y, *expected))
            tolerances.assert_same_bits(gu.conv_transpose2d(x, weight, bias, **options, out=outs[0]), y)
            got = gu.conv_transpose2d_backward(gradient, x, weight, **options, out=tuple(outs[1:]))
            for one, other in zip(got, expected, strict=True):
                tolerances.assert_same_bits(one, other)
    reduction._reduction_work.cache_clear()


# Layers of few samples whose geometry alone is large.
SPARSE: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "many phases": ((1, 2, 3), (2, 9, 3), {"stride": 1 << 20}),
    "taps far apart": ((1, 2, 5), (2, 9, 3), {"dilation": 1 << 20, "padding": 1 << 20}),
    "rows far apart": ((1, 2, 5, 4), (2, 9, 3, 3), {"dilation": (1 << 20, 1), "padding": (1 << 20, 0)}),
    "long rows": ((1, 2, 1 << 20), (2, 9, 5), {"stride": 2}),
    "large planes": ((1, 2, 1 << 10, 1 << 10), (2, 9, 5, 5), {"stride": 2}),
}


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize(("shape", "weight", "options"), SPARSE.values(), ids=SPARSE)
def test_rows_need_little_memory(
    shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], adjoint: bool
) -> None:
    step = convolution(shape, weight, options)
    if adjoint:
        step = ConvTransposeBackwardStep(step, (True, False, False), True).adjoint
    work, _ = conv_transpose_rows._row_work(step, 2, 0)
    assert work.record[ROOM] < 1 << 20


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize(("shape", "weight", "options"), SPARSE.values(), ids=SPARSE)
def test_channels_need_little_memory(
    shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], adjoint: bool
) -> None:
    step = convolution(shape, weight, options, "channels_last")
    if adjoint:
        step = ConvTransposeBackwardStep(step, (True, False, False), True).adjoint
    if WAYS[run_by_channels](step) < inf:
        assert conv_transpose_channels._channel_work(step, 2).record[ROOM] < 1 << 20
        assert conv_transpose_channels._factor_work(step)[0].record[ROOM] < 1 << 20


# ---- unpooling on the CPU -----------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex128"])
@pytest.mark.parametrize(("rank", "windows"), [(1, (3,)), (2, (2, 2)), (2, (3, 4)), (3, (2, 3, 2))])
def test_windows_that_tile_the_output_are_filled_in_one_pass(
    rank: int, windows: tuple[int, ...], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (2, 3, 5, 4, 37)[: 2 + rank]
    whole = tuple(n * k for n, k in zip(shape[2:], windows, strict=True))
    pool, unpool = (getattr(gu, f"max_{which}{rank}d") for which in ("pool", "unpool"))
    indices = pool(noise((*shape[:2], *whole), "float32"), windows, return_indices=True)[1]
    x = noise(shape, dtype, 1)
    expected = np.zeros((6, np.prod(whole)), dtype)
    np.put_along_axis(expected, indices.reshape(6, -1), x.reshape(6, -1), axis=1)

    def refuse(*_: Any) -> Any:
        raise AssertionError("two passes")

    with monkeypatch.context() as patch:
        patch.setattr(unpooling, "unpool_kernel", refuse)
        tolerances.assert_same_bits(unpool(x, indices, windows), expected.reshape(*shape[:2], *whole))
        stray = indices.copy()
        stray[1, 2].reshape(-1)[:2] = indices[1, 2].reshape(-1)[1::-1]
        with pytest.raises(AssertionError, match="two passes"):
            unpool(x, stray, windows)
    expected = np.zeros((6, np.prod(whole)), dtype)
    np.put_along_axis(expected, stray.reshape(6, -1), x.reshape(6, -1), axis=1)
    tolerances.assert_same_bits(unpool(x, stray, windows), expected.reshape(*shape[:2], *whole))
