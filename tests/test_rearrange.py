"""Shuffle, unfold and fold: against torch, against naive oracles in every rank, and against each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpu_upsample as gu
from gpu_upsample.plan.windows import count_windows, reach
from tests.cases import COMPLEX, DTYPES, dtype_of, noise
from tests.tolerances import assert_same_bits, assert_within

torch = pytest.importorskip("torch")
functional = torch.nn.functional


@pytest.fixture(autouse=True, scope="module")
def served(backend: Any) -> Iterator[None]:
    """Run every test of this file on every backend."""
    with gu.use_backend(backend.name):
        yield


# ---- naive oracles ----------------------------------------------------------------------------------------------
def naive_shuffle(x: Any, factors: tuple[int, ...]) -> Any:
    rank = len(factors)
    *before, channels = x.shape[:-rank]
    n = x.shape[-rank:]
    split = x.reshape(*before, channels // prod(factors), *factors, *n)
    k = len(before) + 1
    order = [axis for pair in zip(range(k + rank, k + 2 * rank), range(k, k + rank), strict=True) for axis in pair]
    moved = split.transpose(*range(k), *order)
    return moved.reshape(*before, -1, *(m * r for m, r in zip(n, factors, strict=True)))


def seen(geometry: dict[str, tuple[int, ...]], counts: list[int]) -> Iterator[tuple[slice, ...]]:
    """Yield, tap by tap, the part of a padded array that the tap sees in all windows."""
    for taps in product(*map(range, geometry["kernel_size"])):
        yield tuple(
            slice(t * d, t * d + (c - 1) * s + 1, s)
            for t, d, c, s in zip(taps, geometry["dilation"], counts, geometry["stride"], strict=True)
        )


def windows_of(n: tuple[int, ...], geometry: dict[str, tuple[int, ...]]) -> list[int]:
    k, d, p, s = (geometry[name] for name in ("kernel_size", "dilation", "padding", "stride"))
    return [len(range(0, m + 2 * q - e * (t - 1), f)) for m, t, e, q, f in zip(n, k, d, p, s, strict=True)]


def naive_unfold(x: Any, geometry: dict[str, tuple[int, ...]]) -> Any:
    rank = len(geometry["padding"])
    border = [(0, 0)] * (x.ndim - rank) + [(p, p) for p in geometry["padding"]]
    padded, counts = np.pad(x, border), windows_of(x.shape[-rank:], geometry)
    taps = [padded[(..., *part)] for part in seen(geometry, counts)]
    return np.stack(taps, axis=-rank - 1).reshape(*x.shape[: -rank - 1], -1, prod(counts))


def naive_fold(columns: Any, n: tuple[int, ...], geometry: dict[str, tuple[int, ...]]) -> Any:
    """Scatter, tap by tap, into a padded array."""
    counts, kernel = windows_of(n, geometry), geometry["kernel_size"]
    leading = (*columns.shape[:-2], columns.shape[-2] // prod(kernel))
    blocks = columns.reshape(*leading, prod(kernel), *counts)
    padded = np.zeros((*leading, *(m + 2 * p for m, p in zip(n, geometry["padding"], strict=True))), columns.dtype)
    for tap, part in enumerate(seen(geometry, counts)):
        padded[(..., *part)] += blocks[(..., tap, *[slice(None)] * len(n))]
    return padded[(..., *(slice(p, p + m) for p, m in zip(geometry["padding"], n, strict=True)))]


# ---- drawn parameters -------------------------------------------------------------------------------------------
@st.composite
def windows(draw: Any, ranks: tuple[int, ...] = (1, 2, 3)) -> tuple[tuple[int, ...], dict[str, tuple[int, ...]]]:
    """Draw the size of some spatial axes and a geometry with at least one window."""
    rank = draw(st.sampled_from(ranks))
    axes = []
    for _ in range(rank):
        kernel, dilation, padding = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 3))
        least = max(1, dilation * (kernel - 1) + 1 - 2 * padding)
        n = draw(st.integers(least, least + (12 if rank < 3 else 4)))
        axes.append((n, kernel, dilation, padding, draw(st.integers(1, 6))))
    n, *rest = zip(*axes, strict=True)
    return n, dict(zip(("kernel_size", "dilation", "padding", "stride"), rest, strict=True))


@st.composite
def factors(draw: Any, ranks: tuple[int, ...] = (1, 2, 3, 4)) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draw the size of some spatial axes and a factor for each."""
    rank = draw(st.sampled_from(ranks))
    size, factor = st.integers(1, 9 if rank < 3 else 4), st.integers(1, 6 if rank < 3 else 3)
    return draw(st.tuples(*[size] * rank)), draw(st.tuples(*[factor] * rank))


LEADING = st.sampled_from([(1, 1), (2, 3), (3,), (1,)])


# ---- torch ------------------------------------------------------------------------------------------------------
@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.lists(st.integers(1, 3), max_size=3))
@settings(max_examples=300)
def test_shuffle_is_torchs(factor: int, height: int, width: int, leading: list[int]) -> None:
    x = noise((*leading, 2 * factor * factor, height, width), "float32")
    expected = functional.pixel_shuffle(torch.from_numpy(x), factor).numpy()
    assert_same_bits(gu.pixel_shuffle(x, factor), expected)
    assert_same_bits(gu.pixel_unshuffle(expected, factor), x)
    assert_same_bits(functional.pixel_unshuffle(torch.from_numpy(expected), factor).numpy(), x)


@given(windows((2,)), LEADING)
@settings(max_examples=600)
def test_fold_and_unfold_are_torchs(drawn: Any, leading: tuple[int, ...]) -> None:
    n, geometry = drawn
    x = noise((*leading, *n))
    columns = functional.unfold(torch.from_numpy(x), **geometry)
    assert_same_bits(gu.unfold(x, **geometry), columns.numpy())
    values = noise(tuple(columns.shape), seed=1)
    # torch adds the taps in the same order, hence the same bits.
    assert_same_bits(
        gu.fold(values, n, **geometry) + 0.0, functional.fold(torch.from_numpy(values), n, **geometry).numpy()
    )


@pytest.mark.parametrize("stride", [1, 3])
def test_one_number_serves_both_axes_as_in_torch(stride: int) -> None:
    x = noise((2, 3, 10, 10))
    columns = gu.unfold(x, 3, 2, 1, stride)
    assert_same_bits(columns, functional.unfold(torch.from_numpy(x), 3, 2, 1, stride).numpy())
    expected = functional.fold(torch.from_numpy(columns), (10, 10), 3, 2, 1, stride).numpy()
    assert_same_bits(gu.fold(columns, 10, 3, 2, 1, stride), expected)


def test_torch_tensors_stay_tensors() -> None:
    x = torch.arange(16.0).reshape(1, 4, 2, 2)
    assert torch.equal(gu.pixel_shuffle(x, 2), functional.pixel_shuffle(x, 2))
    assert torch.equal(gu.unfold(x.bfloat16(), 2), functional.unfold(x, 2).bfloat16())
    assert gu.unfold(x.bfloat16(), 2).dtype is torch.bfloat16


# ---- every rank -------------------------------------------------------------------------------------------------
@given(factors(), st.lists(st.integers(1, 2), max_size=2))
@settings(max_examples=150)
def test_shuffle_in_every_rank(drawn: Any, leading: list[int]) -> None:
    n, factor = drawn
    x = noise((*leading, 2 * prod(factor), *n), "int16")
    large = gu.pixel_shuffle(x, factor)
    assert_same_bits(large, naive_shuffle(x, factor))
    assert_same_bits(gu.pixel_unshuffle(large, factor), x)


@given(windows(), LEADING)
@settings(max_examples=300)
def test_unfold_in_every_rank(drawn: Any, leading: tuple[int, ...]) -> None:
    n, geometry = drawn
    x = noise((*leading, *n), "int32")
    assert_same_bits(gu.unfold(x, **geometry), naive_unfold(x, geometry))


@given(windows(), LEADING)
@settings(max_examples=300)
def test_fold_in_every_rank(drawn: Any, leading: tuple[int, ...]) -> None:
    n, geometry = drawn
    taps, counts = prod(geometry["kernel_size"]), prod(windows_of(n, geometry))
    columns = noise((*leading[:-1], leading[-1] * taps, counts))
    got, expected = gu.fold(columns, n, **geometry), naive_fold(columns, n, geometry)
    np.testing.assert_array_equal(got, expected)  # the same order of the sums
    reached = naive_fold(np.ones_like(columns), n, geometry) > 0
    assert not np.signbit(got[~reached]).any()


@pytest.mark.parametrize(("rank", "factor"), [(1, 2), (3, 2), (3, 3)])
def test_ndim_tells_the_rank(rank: int, factor: int) -> None:
    x = noise((1, 2 * factor**rank, *[4] * rank))
    assert_same_bits(gu.pixel_shuffle(x, factor, ndim=rank), naive_shuffle(x, (factor,) * rank))
    geometry = {"kernel_size": 2, "padding": 1}
    columns = gu.unfold(x, **geometry, ndim=rank)
    assert columns.shape == (1, x.shape[1] * 2**rank, 5**rank)
    assert gu.fold(columns, 4, **geometry, ndim=rank).shape == x.shape


@given(windows(), LEADING)
@settings(max_examples=100)
def test_fold_undoes_unfold_but_for_the_count(drawn: Any, leading: tuple[int, ...]) -> None:
    n, geometry = drawn
    x = noise((*leading, *n), "uint8").astype(np.float64)
    count = gu.fold(gu.unfold(np.ones_like(x), **geometry), n, **geometry)
    np.testing.assert_array_equal(gu.fold(gu.unfold(x, **geometry), n, **geometry), count * x)


@given(windows(), LEADING)
@settings(max_examples=100)
def test_fold_is_the_adjoint_of_unfold(drawn: Any, leading: tuple[int, ...]) -> None:
    n, geometry = drawn
    x = noise((*leading, *n))
    unfolded = gu.unfold(x, **geometry)
    columns = noise(unfolded.shape, seed=1)
    left, right = np.vdot(unfolded, columns), np.vdot(x, gu.fold(columns, n, **geometry))
    assert abs(left - right) <= 1e-12 * np.vdot(abs(unfolded), abs(columns)) + 1e-300


@given(*[st.integers(1, 6)] * 2, st.integers(1, 12), st.integers(1, 6), st.integers(0, 4), st.integers(1, 5))
@settings(max_examples=400)
def test_reach_lists_every_pair(count: int, kernel: int, n: int, stride: int, padding: int, dilation: int) -> None:
    table = reach(count, n, kernel, stride, padding, dilation)
    for o in range(n):
        t = range(table.count[o])
        pairs = [(table.window[o] - i * table.window_step, table.tap[o] + i * table.tap_step) for i in t]
        assert pairs == [
            (w, k) for k in range(kernel) for w in range(count) if w * stride + k * dilation - padding == o
        ]
    if dilation == 1:
        assert table.most <= -(-kernel // stride)


def test_counts_of_windows() -> None:
    for n, k, s, p, d in product(range(1, 8), range(1, 5), range(1, 4), range(3), range(1, 4)):
        starts = range(-p, n + p - d * (k - 1), s)
        assert max(0, count_windows(n, k, s, p, d)) == len(starts)


# ---- dtypes -----------------------------------------------------------------------------------------------------
GEOMETRY = {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (1, 0), "stride": (2, 1)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_selections_copy_every_dtype(dtype: str) -> None:
    x = noise((2, 18, 5, 7), dtype)
    large = gu.pixel_shuffle(x, (3, 2))
    assert_same_bits(large, naive_shuffle(x, (3, 2)))
    assert_same_bits(gu.pixel_unshuffle(large, (3, 2)), x)
    assert_same_bits(gu.unfold(x, **GEOMETRY), naive_unfold(x, GEOMETRY))


def test_selections_keep_the_payload_of_a_nan() -> None:
    words = noise((1, 4, 3, 3), "uint32") | np.uint32(0x7F800001)
    x = words.view(np.float32)
    assert_same_bits(gu.pixel_shuffle(x, 2).view(np.uint32), naive_shuffle(words, (2, 2)))
    assert_same_bits(gu.unfold(x, 2).view(np.uint32), gu.unfold(words, 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_fold_of_every_dtype(dtype: str) -> None:
    n = (6, 9)
    geometry = {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (1, 1), "stride": (2, 1)}
    columns = noise((2, 12, prod(windows_of(n, geometry))), dtype)
    wide = columns.astype(np.complex128 if dtype in COMPLEX else np.float64)
    got = gu.fold(columns, n, **geometry)
    assert got.dtype == dtype_of(dtype)
    magnitude = float(naive_fold(np.abs(wide), n, geometry).max())
    assert_within(got, naive_fold(wide, n, geometry), magnitude, dtype)  # integers saturate


def test_fold_accumulates_halves_in_single_precision() -> None:
    columns = np.zeros((4, 4), np.float16)
    columns[[0, 1, 2, 3], [3, 2, 1, 0]] = 2048, 1, 1, 1  # all of sample 3; in half precision 2048 + 1 is 2048
    assert gu.fold(columns, (7,), 4)[0, 3] == 2052  # 2051, to even


# ---- layouts ----------------------------------------------------------------------------------------------------
LAYOUTS = {
    "strided": lambda x: np.repeat(np.repeat(x, 2, axis=-1), 3, axis=-2)[..., ::3, ::2],
    "reversed": lambda x: x[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
    "transposed": lambda x: np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2),
    "channels last in memory": lambda x: np.ascontiguousarray(np.moveaxis(x, -3, -1)).transpose(0, 3, 1, 2),
    "misaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    x = noise((2, 8, 6, 10), "float32")
    given = LAYOUTS[layout](x)
    np.testing.assert_array_equal(given, x)
    given.flags.writeable = False
    assert_same_bits(gu.pixel_shuffle(given, 2), gu.pixel_shuffle(x, 2))
    assert_same_bits(gu.pixel_unshuffle(given, 2), gu.pixel_unshuffle(x, 2))
    assert_same_bits(gu.unfold(given, 3, padding=1), gu.unfold(x, 3, padding=1))
    columns = x[0].reshape(8, 60)
    laid = LAYOUTS[layout](x)[0].reshape(8, 60)
    assert_same_bits(gu.fold(laid, (7, 11), 2), gu.fold(columns, (7, 11), 2))


@pytest.mark.parametrize("view", [np.s_[..., ::2], np.s_[..., ::-1], np.s_[...]], ids=["strided", "reversed", "whole"])
def test_out_in_any_layout(view: Any) -> None:
    x = noise((2, 8, 6, 10), "float32")
    columns = gu.unfold(x, 3)
    for operator, arguments, expected in [
        (gu.pixel_shuffle, (x, 2), gu.pixel_shuffle(x, 2)),
        (gu.pixel_unshuffle, (x, 2), gu.pixel_unshuffle(x, 2)),
        (gu.unfold, (x, 3), columns),
        (gu.fold, (columns, (6, 10), 3), gu.fold(columns, (6, 10), 3)),
    ]:
        step = view[-1].step or 1 if isinstance(view, tuple) else 1
        room = np.full((*expected.shape[:-1], expected.shape[-1] * abs(step)), 7, np.float32)
        out = room[view]
        assert operator(*arguments, out=out) is out
        assert_same_bits(np.ascontiguousarray(out), expected)
        if step == 2:
            assert (room[..., 1::2] == 7).all()


def test_large_arrays_are_shared_by_threads(use_threads: Any) -> None:
    use_threads("3")
    x = noise((2, 12, 160, 170), "float32")
    large = gu.pixel_shuffle(x, 2)
    assert_same_bits(large, naive_shuffle(x, (2, 2)))
    assert_same_bits(gu.pixel_unshuffle(large, 2), x)
    geometry = {"kernel_size": (3, 3), "dilation": (1, 1), "padding": (1, 1), "stride": (1, 1)}
    columns = gu.unfold(x, **geometry)
    assert_same_bits(columns, naive_unfold(x, geometry))
    np.testing.assert_array_equal(gu.fold(columns, (160, 170), **geometry), naive_fold(columns, (160, 170), geometry))


# ---- edges ------------------------------------------------------------------------------------------------------
def test_empty_batches_and_channels() -> None:
    assert gu.pixel_shuffle(np.zeros((0, 4, 3, 3)), 2).shape == (0, 1, 6, 6)
    assert gu.pixel_shuffle(np.zeros((2, 0, 3, 3)), 2).shape == (2, 0, 6, 6)
    assert gu.pixel_unshuffle(np.zeros((0, 1, 4, 4)), 2).shape == (0, 4, 2, 2)
    assert gu.unfold(np.zeros((0, 2, 3, 3)), 2).shape == (0, 8, 4)
    assert gu.unfold(np.zeros((2, 0, 3, 3)), 2).shape == (2, 0, 4)
    assert gu.fold(np.zeros((0, 8, 4)), 3, 2).shape == (0, 2, 3, 3)
    assert gu.fold(np.zeros((2, 0, 4)), 3, 2).shape == (2, 0, 3, 3)


def test_a_factor_of_one_copies() -> None:
    x = noise((2, 3, 4, 5))
    for result in (gu.pixel_shuffle(x, 1), gu.pixel_unshuffle(x, 1)):
        assert_same_bits(result, x)
        assert not np.shares_memory(result, x)


def test_padding_longer_than_the_axis() -> None:
    x = noise((1, 2, 3))
    geometry = {"kernel_size": (2,), "dilation": (3,), "padding": (9,), "stride": (4,)}
    assert_same_bits(gu.unfold(x, **geometry), naive_unfold(x, geometry))


IMAGE = np.arange(1 * 8 * 4 * 6, dtype=np.float64).reshape(1, 8, 4, 6)
COLUMNS = np.zeros((1, 8, 6))

# (operator, array, arguments, exception, parts of the message)
BAD: list[tuple[Any, Any, dict[str, Any], type[Exception], list[str]]] = [
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": 3}, ValueError, ["channels", "multiple of 9", "got 8"]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": 0}, ValueError, ["upscale_factor", "at least 1", "0"]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": (2, -2)}, ValueError, ["upscale_factor", "(2, -2)"]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": 2.0}, TypeError, ["upscale_factor", "2.0", "integer"]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": True}, TypeError, ["upscale_factor", "True", "integer"]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": None}, TypeError, ["upscale_factor", "None"]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": "2"}, TypeError, ["upscale_factor", "'2'"]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": ()}, ValueError, ["spatial axes", "at least 1", "0"]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": (2, 2), "ndim": 3}, ValueError, ["agree", "2 of", "3 of ndim"]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": 2, "ndim": 4}, ValueError, ["(1, 8, 4, 6)", "4 spatial", "ndim="]),
    (gu.pixel_shuffle, IMAGE, {"upscale_factor": 2, "ndim": "2"}, TypeError, ["ndim", "'2'"]),
    (gu.pixel_shuffle, IMAGE[:, :, :0], {"upscale_factor": 2}, ValueError, ["spatial axes of x", "(0, 6)"]),
    (gu.pixel_shuffle, IMAGE[0, 0], {"upscale_factor": 2}, ValueError, ["channel axis", "(4, 6)"]),
    (gu.pixel_shuffle, [1.0], {"upscale_factor": 2}, TypeError, ["x must be", "list"]),
    (gu.pixel_shuffle, IMAGE.astype("U1"), {"upscale_factor": 2}, TypeError, ["dtype", "float32"]),
    (gu.pixel_unshuffle, IMAGE, {"downscale_factor": 4}, ValueError, ["multiples", "downscale_factor=4", "(4, 6)"]),
    (gu.pixel_unshuffle, IMAGE, {"downscale_factor": 0}, ValueError, ["downscale_factor", "at least 1"]),
    (gu.unfold, IMAGE, {"kernel_size": 0}, ValueError, ["kernel_size", "at least 1", "0"]),
    (gu.unfold, IMAGE, {"kernel_size": 2, "stride": 0}, ValueError, ["stride", "at least 1"]),
    (gu.unfold, IMAGE, {"kernel_size": 2, "dilation": (1, 0)}, ValueError, ["dilation", "(1, 0)"]),
    (gu.unfold, IMAGE, {"kernel_size": 2, "padding": -1}, ValueError, ["padding", "at least 0", "-1"]),
    (gu.unfold, IMAGE, {"kernel_size": 2, "padding": 1.5}, TypeError, ["padding", "1.5", "integer"]),
    (gu.unfold, IMAGE, {"kernel_size": 5}, ValueError, ["kernel_size=5", "(5, 5)", "(4, 6)"]),
    (gu.unfold, IMAGE, {"kernel_size": 3, "dilation": 3, "padding": 1}, ValueError, ["(7, 7)", "(6, 8)"]),
    (gu.unfold, IMAGE, {"kernel_size": (2, 2), "stride": (1, 1, 1)}, ValueError, ["agree", "3 of stride"]),
    (gu.unfold, IMAGE, {"kernel_size": (1,) * 4}, ValueError, ["1 to 3", "4"]),
    (gu.unfold, IMAGE[0, 0], {"kernel_size": 2}, ValueError, ["x must have 4 axes, or 3", "(4, 6)", "ndim="]),
    (gu.unfold, IMAGE, {"kernel_size": (2,)}, ValueError, ["x must have 3 axes, or 2", "1 spatial"]),
    (gu.unfold, IMAGE[:, :, :0], {"kernel_size": 1}, ValueError, ["spatial axes of x", "(0, 6)"]),
    (gu.unfold, IMAGE, {"kernel_size": 2, "padding": 2**30}, ValueError, ["padded axes", "2147483647"]),
    (gu.fold, COLUMNS, {"output_size": (3, 4), "kernel_size": 3}, ValueError, ["multiple of 9", "(1, 8, 6)"]),
    (gu.fold, COLUMNS, {"output_size": (4, 4), "kernel_size": 2}, ValueError, ["9 windows (3 x 3)", "(1, 8, 6)"]),
    (gu.fold, COLUMNS, {"output_size": (0, 4), "kernel_size": 2}, ValueError, ["output_size", "at least 1"]),
    (gu.fold, COLUMNS, {"output_size": 1, "kernel_size": 2}, ValueError, ["kernel_size=2", "(1, 1)"]),
    (gu.fold, COLUMNS, {"output_size": None, "kernel_size": 2}, TypeError, ["output_size", "None"]),
    (gu.fold, COLUMNS[0, 0], {"output_size": 3, "kernel_size": 2}, ValueError, ["columns must have 3 axes", "(6,)"]),
    (gu.fold, [1.0], {"output_size": 3, "kernel_size": 2}, TypeError, ["columns must be", "list"]),
]


@pytest.mark.parametrize(("operator", "x", "arguments", "exception", "parts"), BAD)
def test_bad_input(operator: Any, x: Any, arguments: Any, exception: type[Exception], parts: list[str]) -> None:
    out = np.full(3, 7.0)
    with pytest.raises(exception) as raised:
        operator(x, **arguments, out=out)
    for part in parts:
        assert part in str(raised.value)
    assert (out == 7).all()


def test_bad_out() -> None:
    for out, exception, part in [
        (np.zeros((1, 2, 8, 11)), ValueError, r"\(1, 2, 8, 12\)"),
        (np.zeros((1, 2, 8, 12), np.float32), TypeError, "float64"),
        (IMAGE.reshape(1, 2, 8, 12), ValueError, "overlap"),
        (torch.zeros((1, 2, 8, 12)), TypeError, "one kind"),
    ]:
        before = np.asarray(out).copy()
        with pytest.raises(exception, match=part):
            gu.pixel_shuffle(IMAGE, 2, out=out)
        np.testing.assert_array_equal(out, before)
