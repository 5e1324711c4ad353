"""The CUDA kernels of shuffle, unfold and fold: on the host through the whole path of a call, and as machine code."""

from __future__ import annotations

import re
from dataclasses import replace
from math import prod

import numpy as np
import pytest

import gpu_upsample as gu

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from gpu_upsample.cuda import rearrange
from gpu_upsample.cuda.rearrange_kernels import FoldSpec, ShuffleSpec, UnfoldSpec
from gpu_upsample.plan.dtypes import STORAGE
from gpu_upsample.plan.rearrange import FoldStep, fold_axes
from gpu_upsample.plan.windows import count_windows, reach
from tests import twin
from tests.cases import noise


def bits(x):
    """Return the bits of an array, every NaN the same: a GPU has one of its own."""
    words = np.asarray(x)
    if words.dtype.kind not in "biu":
        words = np.where(np.isnan(words), np.array(np.nan, words.dtype), words)
    return np.ascontiguousarray(words).view(np.uint8)


def assert_twin_equals_cpu(operator, x, *arguments, **options):
    """Every element is also written once: the twin counts."""
    expected = operator(x, *arguments, backend="cpu", **options)
    twin.launched.clear()
    with twin.installed():
        got = operator(twin.to_twin(x), *arguments, **options)
    assert isinstance(got, twin.TwinArray)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(bits(got), bits(expected))
    return twin.launched[-1]


def count_of(n, kernel, dilation, padding, stride):
    each = zip(n, kernel, stride, padding, dilation, strict=True)
    return prod(count_windows(*axis) for axis in each)


# ---- shuffle ------------------------------------------------------------------------------------------------
SHUFFLES = [
    ((1, 4, 5, 8), (2, 2)),
    ((2, 8, 3, 7), (2, 2)),  # odd: one lane
    ((2, 9, 5, 6), (3, 3)),
    ((3, 12, 40), (4,)),
    ((2, 24, 3, 4, 6), (2, 3, 2)),
    ((64, 3, 8), (8, 8)),  # unbatched, many registers
    ((11, 4, 3), (1, 11)),  # a run-time factor
    ((2, 4, 3, 1), (2, 2)),
    ((2, 4, 3, 200), (4, 1)),
]


@pytest.mark.parametrize(("shape", "factor"), SHUFFLES, ids=str)
def test_shuffles(shape, factor):
    x = noise(shape, "float32")
    assert_twin_equals_cpu(gu.pixel_shuffle, x, factor)
    assert_twin_equals_cpu(gu.pixel_unshuffle, gu.pixel_shuffle(x, factor), factor)


@pytest.mark.parametrize("dtype", ["bool", "bfloat16", "complex64", "complex128"])
def test_shuffles_go_by_byte_size(dtype):
    x = noise((2, 8, 3, 16), dtype)
    size = x.dtype.itemsize
    for operator, given in [(gu.pixel_shuffle, x), (gu.pixel_unshuffle, gu.pixel_shuffle(x, 2))]:
        spec = assert_twin_equals_cpu(operator, given, 2)
        assert (spec.itemsize * spec.words, spec.access * spec.itemsize) == (size, 16)


@pytest.mark.parametrize("words", [1, 3])
def test_misaligned_arrays_narrow_the_access(words):
    x = noise((1, 4, 6, 8), "float32")
    whole = np.zeros(words + x.size, np.float32).view(twin.TwinArray)
    with twin.installed():
        given = whole[words:].reshape(x.shape)
        given[...] = x
        twin.launched.clear()
        got = gu.pixel_shuffle(given, 2)
        back = gu.pixel_unshuffle(got, 2, out=given)
    assert [(spec.lanes, spec.access) for spec in twin.launched] == [(4, 1), (4, 1)]
    np.testing.assert_array_equal(np.asarray(got), gu.pixel_shuffle(x, 2))
    np.testing.assert_array_equal(np.asarray(back), x)


# ---- unfold and fold ----------------------------------------------------------------------------------------
# Size, then kernel, dilation, padding and stride of the spatial axes.
WINDOWS = [
    ((12,), (3,), (1,), (1,), (1,)),
    ((19,), (4,), (2,), (5,), (3,)),
    ((9, 12), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((8, 16), (4, 4), (1, 1), (1, 1), (2, 2)),
    ((9, 7), (2, 3), (3, 2), (2, 1), (1, 3)),
    ((10, 13), (2, 2), (1, 1), (0, 0), (5, 4)),  # samples that no window reaches
    ((6, 24), (1, 9), (1, 1), (0, 4), (1, 1)),  # more pairs than are unrolled
    ((5, 6, 8), (3, 2, 3), (1, 2, 1), (1, 1, 0), (2, 1, 1)),
    ((4, 4, 4), (2, 2, 2), (2, 2, 2), (1, 1, 1), (2, 2, 2)),
]


@pytest.mark.parametrize("geometry", WINDOWS, ids=str)
def test_unfolds(geometry):
    n, *rest = geometry
    assert_twin_equals_cpu(gu.unfold, noise((2, 3, *n), "float32"), *rest)


@pytest.mark.parametrize("geometry", WINDOWS, ids=str)
@pytest.mark.parametrize("leading", [(2, 3), (1,)], ids=str)
def test_folds(geometry, leading):
    n, *rest = geometry
    columns = noise((*leading[:-1], leading[-1] * prod(rest[0]), count_of(n, *rest)), "float32")
    assert_twin_equals_cpu(gu.fold, columns, n, *rest)


# One dtype of every size, carrier and accumulator.
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "uint64", "float16", "bfloat16", "complex128"])
def test_dtypes(dtype):
    geometry = (3, 1, 1, 2)
    x = noise((2, 3, 8, 11), dtype)
    columns = gu.unfold(x, *geometry)
    assert_twin_equals_cpu(gu.unfold, x, *geometry)
    assert_twin_equals_cpu(gu.fold, columns, (8, 11), *geometry)


@pytest.mark.parametrize("special", [np.nan, np.inf, -0.0])
def test_special_values(special):
    columns = np.full((1, 9, 16), special, np.float32)
    columns[:, 4] = -np.inf
    assert_twin_equals_cpu(gu.fold, columns, (4, 4), 3, padding=1)
    assert_twin_equals_cpu(gu.fold, np.full((1, 4, 4), special), (5, 5), 2, stride=3)


@pytest.mark.parametrize("view", [np.s_[..., ::2], np.s_[..., ::-1, ::-1], np.s_[..., 1:]])
def test_layouts(view):
    x = noise((2, 4, 8, 12), "float32")[view]
    x = x[..., : x.shape[-1] // 2 * 2]
    assert_twin_equals_cpu(gu.pixel_shuffle, x, 2)
    assert_twin_equals_cpu(gu.pixel_unshuffle, x, 2)
    assert_twin_equals_cpu(gu.unfold, x, 2)
    assert_twin_equals_cpu(gu.fold, gu.unfold(x, 2)[..., ::-1], x.shape[2:], 2)


def test_empty_arrays_launch_nothing():
    with twin.installed():
        twin.launched.clear()
        assert gu.pixel_shuffle(twin.to_twin(np.zeros((0, 4, 3, 3))), 2).shape == (0, 1, 6, 6)
        assert gu.unfold(twin.to_twin(np.zeros((2, 0, 3, 3))), 2).shape == (2, 0, 4)
    assert twin.launched == []


@pytest.mark.parametrize("backend", ["cpu", "cuda"])
@pytest.mark.parametrize(("source", "result", "parts"), [("float32", "float16", 1), ("float64", "float64", 2)])
def test_fold_step_adds_a_bias_per_channel(backend, source, result, parts):
    """As the transposed convolution uses it: wider columns than results, complex numbers, a bias added last."""
    from gpu_upsample.cpu import rearrange as cpu

    axes = [reach(3, 7, 3, 2, 0, 1), reach(4, 11, 2, 3, 0, 1)]
    step = FoldStep(2, 3, fold_axes(axes), STORAGE[source], STORAGE[result], parts, STORAGE[result])
    columns = noise((2, 3, step.taps, step.windows, parts), source)
    bias = noise((3, parts), result, seed=1)
    plain = replace(step, bias=None)
    sums = np.empty(step.shape_out, result)
    cpu.run_fold(plain, columns.reshape(-1), sums.reshape(-1).view(STORAGE[result].carrier))
    wide, exact = sums.astype(np.float64), result == source
    expected = wide + bias.reshape(1, 3, 1, 1, 1, parts)

    out = np.empty(step.shape_out, result)
    words = [columns.reshape(-1), *(a.reshape(-1).view(STORAGE[result].carrier) for a in (bias, out))]
    if backend == "cpu":
        cpu.run_fold(step, *words)
    else:
        with twin.installed():
            rearrange.run_fold(step, *(word.view(twin.TwinArray) for word in words))
    np.testing.assert_allclose(out, expected.astype(result), rtol=1e-6 if exact else 2e-3, atol=1e-6 if exact else 2e-3)
    unreached = out[:, :, :, :, 2]
    np.testing.assert_array_equal(unreached, np.broadcast_to(bias[None, :, None, None], unreached.shape))


def test_flat_indices_of_64_bits(monkeypatch):
    monkeypatch.setattr(rearrange, "NARROW", 0)
    x = noise((2, 8, 5, 6), "float32")
    columns = gu.unfold(x, 3, padding=1)
    specs = [
        assert_twin_equals_cpu(gu.pixel_shuffle, x, 2),
        assert_twin_equals_cpu(gu.unfold, x, 3, padding=1),
        assert_twin_equals_cpu(gu.fold, columns, (5, 6), 3, padding=1),
    ]
    assert all(spec.wide for spec in specs)


@pytest.mark.slow
def test_flat_indices_beyond_32_bits():
    """The last blocks alone, of arrays that are touched nowhere else: memory that no one touches costs nothing."""
    width = 1 << 12
    rows = (1 << 32) // (4 * width) + 1
    x = np.zeros((1, 4, rows, width), np.uint8).view(twin.TwinArray)
    tail = noise((1, 4, 3, width), "uint8")
    np.asarray(x)[:, :, -3:] = tail
    seen = []

    def some_blocks(spec, device, stream, blocks, arguments):
        written = twin.run(spec, device, stream, blocks, arguments, only=range(blocks - 4, blocks))
        seen.append((spec.wide, int(written[-2 * width :].min())))

    with twin.installed(some_blocks):
        got = gu.pixel_shuffle(x, 2)
    assert seen == [(True, 1)]
    np.testing.assert_array_equal(np.asarray(got)[0, 0, -1], gu.pixel_shuffle(tail, 2)[0, 0, -1])


# ---- machine code -------------------------------------------------------------------------------------------
REGISTERS = 64
WORDS = [(1, 1), (2, 1), (4, 1), (8, 1), (8, 2)]


def shuffle_spec(size, words, factor, enlarge):
    """Return the specialisation for aligned arrays."""
    if factor == 0:
        return ShuffleSpec(size, words, 0, enlarge, words, 1, False)
    lanes = max(words, rearrange._most_lanes(factor, size))
    return ShuffleSpec(size, words, factor, enlarge, lanes, lanes, False)


def fold_spec(dtype, taps):
    lanes = 4 if STORAGE[dtype].accumulator == "float32" else 2
    return FoldSpec(dtype, dtype, "", 1, taps, lanes, lanes, False)


SPECS = [shuffle_spec(*word, 2, enlarge) for word in WORDS for enlarge in (True, False)]
SPECS += [shuffle_spec(*word, factor, enlarge) for word in WORDS for factor, enlarge in [(3, True), (8, False)]]
SPECS += [shuffle_spec(4, 1, factor, enlarge) for factor, enlarge in [(4, True), (8, True), (0, True), (0, False)]]
SPECS += [replace(SPECS[0], wide=True), replace(SPECS[4], access=1)]
SPECS += [UnfoldSpec(size, words, 4, min(4, 16 // size), False) for size, words in WORDS]
SPECS += [fold_spec(dtype, 2) for dtype in STORAGE]
SPECS += [fold_spec(dtype, taps) for dtype in ("uint8", "float32", "float64") for taps in (4, -1)]
SPECS += [
    FoldSpec("float32", "float16", "float16", 1, 2, 4, 4, False),
    FoldSpec("float32", "float32", "float32", 2, 2, 4, 4, False),
    FoldSpec("float64", "float64", "float64", 2, 2, 2, 2, True),
]


@pytest.fixture(scope="module")
def machine_code():
    pytest.importorskip("nvidia.cu13", reason="reading machine code needs nvidia-cuda-cuobjdump")
    from tests import machine_code

    return machine_code


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: "-".join(map(str, vars(spec).values())))
def test_every_kernel_on_sm_90(machine_code, spec):
    code = re.sub(r"//.*", "", machine_code.ptx(spec))
    assert "call" not in code
    assert ".local" not in code
    assert not re.search(r"\b(atom|red)\b", code)
    if not isinstance(spec, FoldSpec):
        assert not re.search(r"\.f(32|64)\b", code)
    elif STORAGE[spec.result].accumulator == "float32":
        assert not re.search(r"\.f64\b", code)
    if not spec.wide:
        assert not re.search(r"\b(div|rem)\.[su]64\b", code)
    used = machine_code.resources(spec)
    assert used["REG"] <= REGISTERS
    assert used["STACK"] == used["LOCAL"] == 0


# Instructions of the whole kernel per byte moved (read and written) by a thread.
BUDGETS = {1: 2.5, 2: 1.5, 4: 1.4, 8: 1.4}


@pytest.mark.parametrize("enlarge", [True, False])
@pytest.mark.parametrize("size", BUDGETS)
def test_shuffles_are_wide_and_short(machine_code, size, enlarge):
    spec = shuffle_spec(size, 1, 2, enlarge)
    listing = [text for _, text in machine_code.instructions(spec) if not text.startswith(("NOP", "BRA"))]
    moved = 2 * spec.factor * spec.lanes * size
    assert len(listing) / moved <= BUDGETS[size]
    assert {text.split()[0] for text in listing if text.startswith("STG")} == {"STG.E.128"}
