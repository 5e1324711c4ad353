"""The CUDA kernels of the gradients of pooling and unpooling: the CPU backend's bits, and their machine code."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest

import gpu_upsample as gu

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from gpu_upsample.cuda import pooling_backward, unpooling
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.pooling_backward_kernels import PoolBackwardSpec, UnpoolBackwardSpec, WindowsSpec
from gpu_upsample.cuda.unpooling_kernels import VoteSpec
from tests import twin
from tests.cases import COMPLEX, FLOATS, noise
from tests.devices import Twin
from tests.test_pooling_backward import POOL_BACKWARD, UNPOOL_BACKWARD, choices
from tests.test_pooling_twin import backwards
from tests.tolerances import assert_same_bits


def without_errors(operator, *arrays, **options):
    """Call an operator; raise if its kernels left word of a bad index."""
    results = operator(*arrays, **options)
    gu.check_errors()
    return results


def assert_pool_equals_cpu(device, geometry, dtype="float32", index="int64", **options):
    rank, shape, *arguments = geometry
    indices, grad = choices(geometry)
    grad, indices = grad.astype(noise((1,), dtype).dtype), indices.astype(index)
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    options |= {"input_size": shape, **dict(zip(names, arguments, strict=True))}
    expected = POOL_BACKWARD[rank](grad, indices, **options, backend="cpu")
    got = device(partial(without_errors, POOL_BACKWARD[rank]), grad, indices, **options)
    assert_same_bits(got, expected)


def assert_unpool_equals_cpu(device, grad, indices, rank=2, **options):
    options["input_size"] = indices.shape
    expected = UNPOOL_BACKWARD[rank](grad, indices, **options, backend="cpu")
    got = device(partial(without_errors, UNPOOL_BACKWARD[rank]), grad, indices, **options)
    assert_same_bits(got, expected)


# ---- the gradient of pooling --------------------------------------------------------------------------------
# Along a row 1 or 2 windows reach a sample, or so many that they are not unrolled.
GEOMETRIES = [
    (1, (2, 3, 8), (2,), (2,), (0,), (1,), False),
    (1, (2, 300), (7,), (1,), (3,), (2,), False),
    (2, (2, 3, 8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    (2, (2, 3, 9, 12), (3, 3), (2, 2), (1, 1), (1, 1), True),
    (2, (2, 3, 9, 12), (3, 2), (1, 1), (1, 1), (1, 1), False),
    (2, (3, 13, 24), (4, 6), (1, 3), (2, 0), (1, 2), True),
    (2, (2, 3, 9, 16), (2, 1), (3, 5), (0, 0), (1, 1), False),  # samples that no window reaches
    (3, (2, 2, 5, 6, 8), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), False),
    (3, (2, 5, 6, 12), (3, 2, 3), (1, 1, 2), (1, 0, 1), (2, 2, 1), True),  # every other window reaches a sample
    (3, (2, 5, 6, 8), (3, 3, 2), (2, 4, 4), (1, 1, 1), (2, 3, 6), True),  # dilation and stride with a common factor
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_geometries(device, geometry):
    assert_pool_equals_cpu(device, geometry)
    assert_pool_equals_cpu(device, geometry, validate=True)


@pytest.mark.parametrize("dtype", FLOATS)
def test_dtypes(device, dtype):
    assert_pool_equals_cpu(device, (2, (2, 3, 9, 12), (3, 5), (2, 1), (1, 1), (1, 1), True), dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_sum_of_many_windows_is_formed_in_float32(device, dtype):
    n = 64
    grad = np.zeros((1, n, n + 1), np.float32).astype(noise((1,), dtype).dtype)
    grad[..., :n] = 1
    indices = np.full(grad.shape, (n - 1) * (2 * n + 1))
    indices[..., n] += 1
    got = device(gu.max_pool2d_backward, grad, indices, input_size=(1, 2 * n - 1, 2 * n), kernel_size=n, stride=1)
    assert got[0, n - 1, n - 1] == n * n
    assert np.count_nonzero(got) == 1


def test_special_values(device):
    grad = np.array([[np.nan, np.inf, -np.inf, np.inf, -0.0, 0, 0]], np.float32)
    got = device(
        gu.max_pool1d_backward, grad, np.array([[1, 2, 2, 3, 5, 6, 7]]), input_size=(1, 8), kernel_size=2, stride=1
    )
    np.testing.assert_array_equal(got, np.array([[0, np.nan, np.nan, np.inf, 0, 0, 0, 0]], np.float32))
    assert not np.signbit(got[0, [0, 4, 5]]).any()


def test_rows_and_addresses_decide_how_many_samples_a_thread_owns():
    whole = np.zeros(1 + 12 * 8, np.float32).view(twin.TwinArray)
    moved = whole[1:].reshape(1, 12, 8)
    for shape, lanes, out in [((1, 12, 8), 4, None), ((1, 12, 8), 1, moved), ((1, 12, 5), 1, None)]:
        indices, grad = choices((2, shape, (2, 2), (2, 2), (0, 0), (1, 1), False))
        grad = grad.astype(np.float32)
        twin.launched.clear()
        with twin.installed():
            got = gu.max_pool2d_backward(twin.to_twin(grad), twin.to_twin(indices), shape, 2, out=out)
        assert twin.launched == [
            WindowsSpec("int64", False, False),
            PoolBackwardSpec("float32", "int64", 1, lanes, False),
        ]
        assert_same_bits(np.asarray(got), gu.max_pool2d_backward(grad, indices, shape, 2))


def test_flat_indices_of_64_bits(monkeypatch):
    geometry = (2, (2, 3, 9, 12), (3, 3), (2, 2), (1, 1), (2, 1), True)
    indices = np.random.default_rng(5).integers(0, 108, (2, 3, 5, 4))
    for module in (unpooling, pooling_backward):
        monkeypatch.setattr(module, "NARROW", 0)
    twin.launched.clear()
    assert_pool_equals_cpu(Twin(), geometry)
    assert_unpool_equals_cpu(Twin(), noise((2, 3, 9, 12), "complex64"), indices)
    kinds = [(type(spec), spec.wide) for spec in twin.launched]
    assert kinds == [(kind, True) for kind in (WindowsSpec, PoolBackwardSpec, VoteSpec, UnpoolBackwardSpec)]


def test_when_flat_indices_need_64_bits(monkeypatch):
    """From the place of the last thread on: none may wrap around."""
    samples, windows = 2 * 3 * 8 * 12 + 4 * THREADS, 2 * 3 * 3 * 6 + THREADS
    for narrow, wide in [(samples + 1, [False, False]), (samples, [False, True]), (windows, [True, True])]:
        monkeypatch.setattr(pooling_backward, "NARROW", narrow)
        twin.launched.clear()
        assert_pool_equals_cpu(Twin(), (2, (2, 3, 8, 12), (3, 2), (2, 2), (1, 0), (2, 1), False))
        assert [spec.wide for spec in twin.launched] == wide


@pytest.mark.parametrize(("index", "inside"), [(1, True), (7, True), (2, False)])
def test_a_window_that_ends_beyond_32_bits(index, inside):
    """It begins 2**30 - 1 samples before the array and sees every other sample."""
    arguments = ((1, 8), 2**31 - 1, 2**31 - 1, 2**30 - 1, 2, True)
    grad, indices = np.ones((1, 1), np.float32), np.array([[index]])
    twin.launched.clear()
    with twin.installed():
        got = gu.max_pool1d_backward(twin.to_twin(grad), twin.to_twin(indices), *arguments)
        if not inside:
            with pytest.raises(ValueError, match="outside of its window"):
                gu.check_errors()
        gu.check_errors()
    assert [spec.wide for spec in twin.launched] == [True, False]
    expected = np.zeros((1, 8), np.float32)
    expected[0, index] = inside
    assert_same_bits(np.asarray(got), expected)
    if inside:
        assert_same_bits(gu.max_pool1d_backward(grad, indices, *arguments), expected)
    else:
        with pytest.raises(ValueError, match=r"indices\[0, 0\] is 2$"):
            gu.max_pool1d_backward(grad, indices, *arguments)


# ---- indices that name no sample of their window ------------------------------------------------------------
WINDOW = (2, (1, 2, 7, 8), (3, 2), (2, 3), (1, 1), (1, 2), True)


@pytest.mark.parametrize("index", ["int32", "int64"])
def test_an_index_outside_of_its_window_is_passed_over_and_told(index):
    _, shape, *arguments = WINDOW
    indices, grad = choices(WINDOW)
    indices = indices.astype(index)
    grad = grad.astype(np.float32)
    extremes = [-1, 56, -9, np.iinfo(index).max, np.iinfo(index).min]
    extremes += [2**32 + 10] if index == "int64" else []
    place = (0, 1, 1, 1)  # its window has the rows 1, 2 and 3, and the columns 2 and 4
    for bad in [*range(56), *extremes]:
        indices[place] = bad
        inside = bad // 8 in (1, 2, 3) and bad % 8 in (2, 4)
        expected = grad.copy()
        expected[place] *= inside
        valid = indices.copy()
        valid[place] = bad if inside else 10
        expected = gu.max_pool2d_backward(expected, valid, shape, *arguments, backend="cpu")
        with twin.installed():
            given = twin.to_twin(grad), twin.to_twin(indices), shape, *arguments
            assert_same_bits(np.asarray(gu.max_pool2d_backward(*given)) + np.float32(0), expected)
            if inside:
                gu.check_errors()
                continue
            with pytest.raises(ValueError, match="outside of its window"):
                gu.check_errors()
            gu.check_errors()  # told once
            if bad % 9 == 0:
                out = twin.to_twin(np.full(shape, 7, np.float32))
                with pytest.raises(ValueError, match=rf"window; indices\[0, 1, 1, 1\] is {bad}$"):
                    gu.max_pool2d_backward(*given, validate=True, out=out)
                assert (np.asarray(out) == 7).all()
                gu.check_errors()


@pytest.mark.parametrize("bad", [64, -1, 2**32 + 44, -(2**63), 2**63 - 1])
def test_an_unpooling_index_out_of_range_is_passed_over_and_told(bad):
    grad = noise((1, 2, 8, 8))
    indices = np.arange(0, 64, 4).reshape(1, 1, 4, 4).repeat(2, axis=1)
    expected = gu.max_unpool2d_backward(grad, indices, indices.shape, backend="cpu")
    expected[0, 1, 2, 3] = 0
    indices[0, 1, 2, 3] = bad
    with twin.installed():
        given = twin.to_twin(grad), twin.to_twin(indices), indices.shape
        assert_same_bits(np.asarray(gu.max_unpool2d_backward(*given)), expected)
        with pytest.raises(ValueError, match="out of range"):
            gu.check_errors()
        out = twin.to_twin(np.full_like(expected, 7))
        with pytest.raises(ValueError, match=rf"indices\[0, 1, 2, 3\] is {bad}$"):
            gu.max_unpool2d_backward(*given, validate=True, out=out)
        assert (np.asarray(out) == 7).all()
        gu.check_errors()


def test_data_going_back_to_the_host_raises_and_nothing_is_written():
    grad, indices, out = np.ones((1, 4), np.float32), np.array([[0, 2, 4, 5]]), np.full((1, 8), 7, np.float32)
    with twin.installed():
        for validate, message in [(False, "outside of its window"), (True, r"indices\[0, 3\] is 5$")]:
            with pytest.raises(ValueError, match=message):
                gu.max_pool1d_backward(grad, indices, (1, 8), 2, out=out, validate=validate, backend="cuda")
    assert (out == 7).all()


# ---- the gradient of unpooling ------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
def test_unpool_dtypes_with_duplicates(device, dtype):
    index = "int32" if dtype == "float32" else "int64"
    grad = noise((2, 3, 9, 7), dtype)
    grad[0, 0] = -0.0
    assert_unpool_equals_cpu(device, grad, np.random.default_rng(1).integers(0, 63, (2, 3, 5, 4)).astype(index))


def test_the_winner_does_not_depend_on_the_order_of_threads():
    grad, indices = noise((4, 900)), np.random.default_rng(3).integers(0, 40, (4, 600))
    expected = gu.max_unpool1d_backward(grad, indices, indices.shape, backend="cpu")
    for run in (twin.run, backwards):
        with twin.installed(run):
            got = gu.max_unpool1d_backward(twin.to_twin(grad), twin.to_twin(indices), indices.shape)
        assert_same_bits(np.asarray(got), expected)


def test_planes_in_batches(monkeypatch):
    monkeypatch.setattr(unpooling, "_VOTE_BYTES", 4 * 63 * 3)
    twin.launched.clear()
    assert_unpool_equals_cpu(Twin(), noise((2, 5, 9, 7)), np.random.default_rng(4).integers(0, 63, (2, 5, 5, 4)))
    assert [type(spec) for spec in twin.launched] == [VoteSpec, UnpoolBackwardSpec] * 4


@pytest.mark.parametrize("shape", [(0, 3, 6, 6), (2, 0, 6, 6)])
def test_empty_batches_launch_nothing(shape):
    grad, half = twin.to_twin(np.zeros(shape, np.float32)), (*shape[:2], 3, 3)
    indices = twin.to_twin(np.zeros(half, np.int64))
    with twin.installed():
        twin.launched.clear()
        assert gu.max_pool2d_backward(grad[..., ::2, ::2], indices, shape, 2).shape == shape
        assert gu.max_unpool2d_backward(grad, indices, half).shape == half
    assert twin.launched == []


# ---- what the compiler makes of the kernels -----------------------------------------------------------------
SPECS = [
    PoolBackwardSpec("float32", "int64", 1, 4, False),
    PoolBackwardSpec("float32", "int32", 0, 4, False),
    PoolBackwardSpec("float32", "int64", 2, 1, True),
    PoolBackwardSpec("float16", "int64", 2, 4, False),
    PoolBackwardSpec("bfloat16", "int64", 2, 4, False),
    PoolBackwardSpec("float64", "int64", 4, 2, False),
    WindowsSpec("int64", False, False),
    WindowsSpec("int32", True, False),
    WindowsSpec("int64", True, True),
    UnpoolBackwardSpec(2, 1, "int64", False),
    UnpoolBackwardSpec(4, 2, "int32", False),
    UnpoolBackwardSpec(8, 2, "int64", True),
]


@pytest.mark.parametrize(
    "spec", SPECS, ids=lambda spec: "-".join(map(str, (type(spec).__name__, *vars(spec).values())))
)
def test_every_kernel_on_sm_90(spec):
    codegen = pytest.importorskip("tests.test_codegen")
    codegen.check(spec, (9, 0))
    code = re.sub(r"//.*", "", codegen.machine_code.ptx(spec))
    atomics = {name.split(".global.")[-1] for name in re.findall(r"\b(?:atom|red)\.\S+", code)}
    assert atomics == ({"max.u32"} if isinstance(spec, WindowsSpec) else set())
    if isinstance(spec, PoolBackwardSpec):
        sums = {"add.f64"} if spec.scalar == "float64" else {"add.f32"}
        assert set(re.findall(r"\b(?:add|sub|mul|fma)[.\w]*\.f(?:16|32|64)\b", re.sub(r"\.rn\b", "", code))) == sums
    else:
        assert not re.search(r"\.f(16|32|64)\b", code)
