"""The gradients of max pooling and unpooling on the CPU: torch's, finite differences, adjoints, dtypes, errors."""

from __future__ import annotations

import itertools
from math import prod

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpu_upsample as gu
from gpu_upsample.cpu import pooling_backward
from tests.cases import COMPLEX, FLOATS, noise
from tests.test_pooling import POOL, UNPOOL, array, geometries, tensor
from tests.tolerances import assert_same_bits

POOL_BACKWARD = {1: gu.max_pool1d_backward, 2: gu.max_pool2d_backward, 3: gu.max_pool3d_backward}
UNPOOL_BACKWARD = {1: gu.max_unpool1d_backward, 2: gu.max_unpool2d_backward, 3: gu.max_unpool3d_backward}


@pytest.fixture(autouse=True)
def on_the_cpu():
    with gu.use_backend("cpu"):
        yield


# ---- naive oracles ------------------------------------------------------------------------------------------
def naive_pool_backward(grad, indices, size, rank):
    """Add the gradients one after another where their indices say, in the accumulator; then round once."""
    wide = np.float64 if grad.dtype == np.float64 else np.float32
    planes, n = prod(size[:-rank]), prod(size[-rank:])
    sums = np.zeros((planes, n), wide)
    pairs = zip(sums, grad.astype(wide).reshape(planes, -1), indices.reshape(planes, -1), strict=True)
    for line, values, places in pairs:
        np.add.at(line, places, values)
    return sums.astype(grad.dtype).reshape(size)


def naive_unpool_backward(grad, indices, rank):
    size, n = indices.shape, prod(grad.shape[-rank:])
    out = np.zeros((prod(size[:-rank]), prod(size[-rank:])), grad.dtype)
    for plane, values in enumerate(grad.reshape(-1, n)):
        places = indices.reshape(len(out), -1)[plane]
        last = {int(place): source for source, place in enumerate(places)}
        for place, source in last.items():
            out[plane, source] = values[place]
    return out.reshape(size)


def windows_of_axis(n, kernel, stride, padding, dilation, ceil_mode):
    """Return the samples of an axis that each window sees, by the definition."""
    seen, reach = [], (kernel - 1) * dilation
    while (end := len(seen) * stride + reach) < n + 2 * padding or (
        ceil_mode and end < n + 2 * padding + stride - 1 and len(seen) * stride < n + padding
    ):
        taps = (len(seen) * stride - padding + k * dilation for k in range(kernel))
        seen.append([place for place in taps if 0 <= place < n])
    return seen


def windows_of(geometry):
    """Return the samples along every axis that each window along it sees."""
    rank, shape, *arguments, ceil_mode = geometry
    return [windows_of_axis(*axis, ceil_mode) for axis in zip(shape[-rank:], *arguments, strict=True)]


def choices(geometry, seed=0):
    """Return for every window a sample that it sees, drawn without looking at values, and noise as its gradient."""
    rank, shape, *_ = geometry
    axes, random = windows_of(geometry), np.random.default_rng(seed)
    indices = np.zeros((*shape[:-rank], *map(len, axes)), np.int64)
    for axis, seen in enumerate(axes):
        count = np.array([len(places) for places in seen])
        table = np.array([places + [0] * (count.max() - len(places)) for places in seen])
        along = [-1 if axis == other else 1 for other in range(rank)]
        which = (random.random(indices.shape) * count.reshape(along)).astype(np.int64)
        indices = indices * shape[axis - rank] + table[np.arange(len(seen)).reshape(along), which]
    return indices, noise(indices.shape, seed=seed + 1)


# ---- the gradient of pooling --------------------------------------------------------------------------------
@settings(max_examples=300)
@given(geometries(), st.sampled_from(["float32", "float64"]), st.integers(0, 99), st.booleans())
def test_torch_bit_for_bit(geometry, dtype, seed, default_stride):
    torch = pytest.importorskip("torch")
    rank, shape, kernel, stride, *arguments = geometry
    stride = None if default_stride else stride
    x = torch.from_numpy(noise(shape, dtype, seed)).requires_grad_()
    pool = getattr(torch.nn.functional, f"max_pool{rank}d")
    y, indices = pool(x, kernel, stride, *arguments, return_indices=True)
    grad = noise(tuple(y.shape), dtype, seed + 1)
    grad.flat[::5] = -0.0
    y.backward(torch.from_numpy(grad))
    got = POOL_BACKWARD[rank](grad, indices.numpy(), x.shape, kernel, stride, *arguments)
    assert_same_bits(got, x.grad.numpy())


@settings(max_examples=100)
@given(geometries(longest=6), st.integers(0, 99))
def test_finite_differences(geometry, seed):
    """Steps of a quarter between values that differ by one change no choice, so differences are exact."""
    torch = pytest.importorskip("torch")
    rank, shape, *arguments = geometry
    pool = getattr(torch.nn.functional, f"max_pool{rank}d")
    x = np.random.default_rng(seed).permutation(prod(shape)).astype(np.float64).reshape(1, -1, *shape[-rank:])
    values, indices = pool(torch.from_numpy(x), *arguments, return_indices=True)
    grad = noise(tuple(values.shape), seed=seed)
    got = POOL_BACKWARD[rank](grad, indices.numpy(), x.shape, *arguments)
    steps = np.eye(x.size).reshape(x.size, *x.shape[1:]) / 4
    higher, lower = (pool(torch.from_numpy(moved), *arguments).numpy() for moved in (x + steps, x - steps))
    slopes = ((higher - lower) / 0.5 * grad).reshape(x.size, -1).sum(axis=1)
    np.testing.assert_allclose(got.ravel(), slopes, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dtype", "index"), [*((dtype, "int64") for dtype in FLOATS), ("float32", "int32")])
def test_every_dtype_bit_for_bit(dtype, index):
    geometry = (2, (2, 3, 19, 23), (5, 4), (1, 2), (2, 1), (1, 2), True)
    indices, grad = choices(geometry)
    indices, grad = indices.astype(index), (grad * 100).astype(noise((1,), dtype).dtype)
    got = gu.max_pool2d_backward(grad, indices, geometry[1], *geometry[2:])
    assert_same_bits(got, naive_pool_backward(grad, indices, geometry[1], 2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_sum_of_many_windows_is_formed_in_float32(dtype):
    """float16 counts to 2048 only, and bfloat16 to 256."""
    n = 1 << 14
    grad = np.ones((1, n), np.float32).astype(noise((1,), dtype).dtype)
    got = gu.max_pool1d_backward(grad, np.full((1, n), n - 1), (1, 2 * n - 1), n, 1)
    assert got[0, n - 1] == n
    assert np.count_nonzero(got) == 1


def test_the_order_of_the_sum_is_that_of_the_windows():
    grad = np.array([[2.0**24, 1, -(2.0**24), 0.5]], np.float32)
    got = gu.max_pool1d_backward(grad, np.full((1, 4), 3), (1, 7), 4, 1)
    assert got[0, 3] == np.float32(0.5)  # 2**24 + 1 is no float32; any other order gives 1.5


def test_special_values():
    grad = np.array([[np.nan, np.inf, -np.inf, np.inf, -0.0]])
    indices = np.array([[1, 2, 2, 3, 5]])
    got = gu.max_pool1d_backward(grad, indices, (1, 6), 2, 1)
    np.testing.assert_array_equal(got, [[0, np.nan, np.nan, np.inf, 0, 0]])
    assert not np.signbit(got[0, [0, 4, 5]]).any()  # as torch has it


def test_samples_that_no_window_reaches_are_zero():
    got = gu.max_pool2d_backward(np.full((1, 2, 2), 3.0), np.array([[[0, 4], [28, 32]]]), (1, 6, 7), 1, 4)
    expected = np.zeros((1, 6, 7))
    expected[0, ::4, ::4] = 3
    assert_same_bits(got, expected)


# ---- the gradient of unpooling ------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_adjoint_of_unpooling_with_duplicates(rank, dtype):
    size_in, size_out = (7, 4, 3)[:rank], (14, 8, 6)[:rank]
    for seed in range(20):
        x, grad = noise((2, 3, *size_in), dtype, seed), noise((2, 3, *size_out), dtype, seed + 1)
        indices = np.random.default_rng(seed).integers(0, max(1, prod(size_out) // (1 + seed)), x.shape)
        forward = UNPOOL[rank](x, indices, 2, output_size=size_out)
        backward = UNPOOL_BACKWARD[rank](grad, indices, x.shape)
        assert np.vdot(forward, grad) == pytest.approx(np.vdot(x, backward), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
def test_unpool_copies_bits(dtype, index):
    grad = noise((2, 3, 10, 8), dtype)
    words = grad.view(np.uint8)
    words[...] = np.random.default_rng(2).integers(0, 256, words.shape)  # NaNs of every kind among them
    words[0, 0] = np.full((10, 8), -0.0, grad.dtype).view(np.uint8)
    indices = np.random.default_rng(1).integers(0, 80, (2, 3, 6, 5)).astype(index)
    got = gu.max_unpool2d_backward(grad, indices, indices.shape)
    assert_same_bits(got, naive_unpool_backward(grad, indices, 2))
    # A sample of the first plane that stayed has a gradient of -0.0, one that was replaced of 0.0.
    first = got[0, 0].real.astype(np.float64)
    assert 0 < np.count_nonzero(np.signbit(first)) < 30
    assert (first == 0).all()


@settings(max_examples=60)
@given(geometries(), st.integers(0, 99))
def test_torch_where_no_sample_is_replaced(geometry, seed):
    functional = pytest.importorskip("torch").nn.functional
    rank, shape, *_ = geometry
    random = np.random.default_rng(seed)
    size = tuple(2 * n for n in shape[-rank:])
    x = tensor(noise(shape, "float32", seed)).requires_grad_()
    places = [random.permutation(prod(size))[: prod(shape[-rank:])] for _ in range(prod(shape[:-rank]))]
    indices = np.array(places).reshape(shape)
    y = getattr(functional, f"max_unpool{rank}d")(x, tensor(indices), 2, output_size=size)
    grad = noise(tuple(y.shape), "float32", seed)
    y.backward(tensor(grad))
    assert_same_bits(UNPOOL_BACKWARD[rank](grad, indices, shape), array(x.grad))


# ---- threads, batches, layouts, out, kinds of arrays --------------------------------------------------------
@pytest.mark.parametrize("shape", [(1, 1, 600, 700), (40, 5, 60, 50)])
def test_one_thread_and_several_give_the_same(shape, use_threads):
    geometry = (2, shape, (3, 3), (2, 2), (1, 1), (1, 1), False)
    indices, grad = choices(geometry)
    clashing = np.random.default_rng(0).integers(0, shape[2] * shape[3], indices.shape)
    unpooled = noise(shape)
    results = []
    for threads in ("1", "2", "5"):
        use_threads(threads)
        pooling = [gu.max_pool2d_backward(grad, indices, shape, *geometry[2:]) for _ in range(2)]
        unpooling = [gu.max_unpool2d_backward(unpooled, clashing, clashing.shape) for _ in range(2)]
        results += zip(pooling, unpooling, strict=True)
    assert_same_bits(results[0][0], naive_pool_backward(grad, indices, shape, 2))
    assert_same_bits(results[0][1], naive_unpool_backward(unpooled, clashing, 2))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert_same_bits(one, two)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unbatched_is_a_batch_of_one(rank):
    shape = (3, 6, 7, 8)[: rank + 1]
    x = noise(shape)
    values, indices = POOL[rank](x, 2, return_indices=True)
    grad = noise(values.shape)
    for backward, gradient, *arguments in [(POOL_BACKWARD[rank], grad, 2), (UNPOOL_BACKWARD[rank], x)]:
        size = shape if arguments else indices.shape
        alone = backward(gradient, indices, size, *arguments)
        assert_same_bits(backward(gradient[None], indices[None], (1, *size), *arguments)[0], alone)


def test_layouts_and_out():
    geometry = (2, (2, 3, 8, 10), (3, 3), (2, 2), (1, 1), (1, 1), False)
    indices, grad = choices(geometry)
    image = noise(geometry[1])
    expected = (
        gu.max_pool2d_backward(grad, indices, *geometry[1:]),
        gu.max_unpool2d_backward(image, indices, grad.shape),
    )
    stretched = np.repeat(grad, 2, axis=-1)[..., ::2], np.asfortranarray(indices), np.asfortranarray(image)
    got = (
        gu.max_pool2d_backward(stretched[0].astype(">f8"), stretched[1], *geometry[1:]),
        gu.max_unpool2d_backward(stretched[2], stretched[1], np.array(grad.shape)),
    )
    for layouts in (np.ascontiguousarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2]):
        outs = tuple(layouts(np.full_like(a, 7)) for a in expected)
        assert gu.max_pool2d_backward(grad, indices, *geometry[1:], out=outs[0]) is outs[0]
        assert gu.max_unpool2d_backward(image, indices, list(grad.shape), out=outs[1]) is outs[1]
        for pair in zip((*got, *outs), expected * 2, strict=True):
            np.testing.assert_array_equal(*pair)


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(noise((2, 3, 6, 8), "float32")).to(torch.bfloat16)
    values, indices = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    grad = gu.max_pool2d_backward(values, indices, x.shape, 2)
    assert (grad.dtype, grad.shape) == (x.dtype, x.shape)
    assert torch.equal(grad, torch.nn.functional.max_unpool2d(values, indices, 2))
    assert torch.equal(gu.max_unpool2d_backward(x, indices, values.shape), values)


@pytest.mark.parametrize("leading", [(0, 3), (2, 0), (0,)])
def test_empty_batches(leading):
    indices = np.zeros((*leading, 3, 3), np.int64)
    grad = np.zeros((*leading, 6, 6), np.float32)
    assert gu.max_pool2d_backward(grad[..., ::2, ::2], indices, grad.shape, 2).shape == grad.shape
    assert gu.max_unpool2d_backward(grad, indices, indices.shape).shape == indices.shape


# ---- indices that name no sample of their window ------------------------------------------------------------
@settings(max_examples=150)
@given(geometries(longest=6), st.data())
def test_an_index_is_taken_if_and_only_if_its_window_sees_it(geometry, data):
    rank, shape, *arguments = geometry
    indices, _ = choices(geometry)
    axes = windows_of(geometry)
    plane = tuple(data.draw(st.integers(0, n - 1)) for n in shape[:-rank])
    window = tuple(data.draw(st.integers(0, len(axis) - 1)) for axis in axes)
    places = itertools.product(*(axis[w] for axis, w in zip(axes, window, strict=True)))
    seen = {int(np.ravel_multi_index(place, shape[-rank:])) for place in places}
    grad = np.zeros(indices.shape)
    grad[(*plane, *window)] = 1
    for index in range(-2, prod(shape[-rank:]) + 2):
        indices[(*plane, *window)] = index
        if index in seen:
            got = POOL_BACKWARD[rank](grad, indices, shape, *arguments)
            assert np.flatnonzero(got[plane]).tolist() == [index]
        else:
            at = ", ".join(map(str, (*plane, *window)))
            with pytest.raises(ValueError, match=rf"indices\[{at}\] is {index}$"):
                POOL_BACKWARD[rank](grad, indices, shape, *arguments)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_first_bad_index_is_named_and_nothing_is_written(threads, use_threads):
    use_threads(threads)
    indices = np.arange(0, 300_000, 2).reshape(50, 3000) % 6000
    out = np.full((50, 6000), 7.0)
    for place, bad in [(149_999, 2**63 - 1), (123_456, -(2**63)), (70_000, 5998), (1, -1), (0, 2)]:
        indices.flat[place] = bad
        at = ", ".join(map(str, divmod(place, 3000)))
        with pytest.raises(ValueError, match=rf"sample of their own window; indices\[{at}\] is {bad}$"):
            gu.max_pool1d_backward(np.ones((50, 3000)), indices, (50, 6000), 2, out=out)
    with pytest.raises(ValueError, match=r"between 0 and 5999; indices\[0, 1\] is -1$"):
        gu.max_unpool1d_backward(np.ones((50, 6000)), indices, indices.shape, out=out[:, :3000])
    assert (out == 7).all()


# ---- errors: a clear message, and nothing written -----------------------------------------------------------
AT = np.array([[[[0, 3], [9, 11]]]])
GRAD = np.ones(AT.shape, np.float32)
ACCEPTED = "float16, bfloat16, float32, float64"

POOL_ERRORS = [
    (TypeError, f"one of the dtypes {ACCEPTED}; got int32", {"grad_output": GRAD.astype(np.int32)}),
    (TypeError, f"{ACCEPTED}; got complex64", {"grad_output": GRAD.astype(np.complex64)}),
    (TypeError, "grad_output must be", {"grad_output": GRAD.tolist()}),
    (TypeError, "indices must have dtype int32 or int64, got uint8", {"indices": AT.astype(np.uint8)}),
    (TypeError, "indices must be", {"indices": AT.tolist()}),
    (ValueError, r"grad_output must have shape \(1, 1, 2, 2\), .* got \(1, 1, 2, 1\)", {"grad_output": GRAD[..., :1]}),
    (ValueError, r"indices must have shape \(1, 1, 2, 2\), .* got \(1, 2, 2\)", {"indices": AT[0]}),
    (ValueError, r"grad_output must have shape \(1, 1, 3, 2\)", {"input_size": (1, 1, 6, 4)}),
    (ValueError, r"grad_output must have shape \(2, 1, 2, 2\)", {"input_size": (2, 1, 4, 4)}),
    (ValueError, r"form \(N, C, H, W\) or \(C, H, W\); got \(4, 4\)", {"input_size": (4, 4)}),
    (TypeError, "input_size must be the shape", {"input_size": 4}),
    (TypeError, "input_size must be the shape of an array", {"input_size": (1, 1, 4.0, 4)}),
    (ValueError, "no negative", {"input_size": (1, 1, -4, 4)}),
    (ValueError, "must not be empty; got input_size", {"input_size": (1, 1, 0, 4)}),
    (ValueError, "kernel_size must fit", {"kernel_size": 5}),
    (ValueError, "kernel_size must be at least 1", {"kernel_size": 0}),
    (ValueError, "stride must be at least 1", {"stride": 0}),
    (ValueError, "padding must be at most half", {"padding": 2}),
    (ValueError, "dilation must be at least 1", {"dilation": 0}),
    (TypeError, "ceil_mode must be True or False", {"ceil_mode": 1}),
    (TypeError, "validate must be True or False", {"validate": None}),
    (ValueError, "backend", {"backend": "gpu"}),
]


@pytest.mark.parametrize(("kind", "message", "arguments"), POOL_ERRORS)
def test_bad_pooling_gradients_are_refused(kind, message, arguments):
    out = np.full((1, 1, 4, 4), 7, np.float32)
    given = {"grad_output": GRAD, "indices": AT, "input_size": out.shape, "kernel_size": 2, "out": out}
    assert gu.max_pool2d_backward(**given) is out
    out[...] = 7
    with pytest.raises(kind, match=message):
        gu.max_pool2d_backward(**{**given, **arguments})
    assert (out == 7).all()


IMAGE = np.ones((1, 1, 4, 4), np.float32)

UNPOOL_ERRORS = [
    (ValueError, r"between 0 and 15; indices\[0, 0, 0, 0\] is 16", {"indices": AT + 16}),
    (TypeError, "grad_output must have one of the dtypes .* got uint8", {"grad_output": IMAGE.astype(np.uint8)}),
    (TypeError, "indices must have dtype int32 or int64, got float64", {"indices": AT * 1.0}),
    (ValueError, r"indices must have the shape of x, input_size \(1, 1, 2, 2\); got", {"indices": AT[..., :1]}),
    (ValueError, "grad_output must have the axes of input_size", {"grad_output": IMAGE[0]}),
    (ValueError, "begin like it", {"grad_output": IMAGE.repeat(2, 1)}),
    (ValueError, "empty", {"grad_output": IMAGE[..., :0]}),
    (ValueError, r"form \(N, C, H, W\)", {"input_size": (2, 2), "indices": AT[0, 0], "grad_output": IMAGE[0, 0]}),
    (ValueError, "must not be empty", {"input_size": (1, 1, 2, 0), "indices": AT[..., :0]}),
    (TypeError, "input_size must be the shape", {"input_size": "2"}),
    (TypeError, "validate must be True or False", {"validate": 1}),
]


@pytest.mark.parametrize(("kind", "message", "arguments"), UNPOOL_ERRORS)
def test_bad_unpooling_gradients_are_refused(kind, message, arguments):
    out = np.full(AT.shape, 7, np.float32)
    given = {"grad_output": IMAGE, "indices": AT, "input_size": AT.shape, "out": out}
    assert gu.max_unpool2d_backward(**given) is out
    out[...] = 7
    with pytest.raises(kind, match=message):
        gu.max_unpool2d_backward(**{**given, **arguments})
    assert (out == 7).all()


# ---- rows of several vectors, planes in parts ---------------------------------------------------------------------
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("n", [1, 3, 4, 7, 16, 23, 32, 45])
def test_an_index_astray_is_found_wherever_it_is(n, dilation):
    """The windows of a row are looked at together, the last ones once more: each has to count once."""
    geometry = 3, 1, 1, dilation
    x = noise((2, n + 2 * dilation - 2), "float32")
    _, indices = gu.max_pool1d(x, *geometry, return_indices=True)
    grad, out = noise(indices.shape, "float32", 1), np.full(x.shape, 7, np.float32)
    for window in range(n):
        own = {window - 1 + tap * dilation for tap in range(3)} & set(range(x.shape[1]))
        for place in {-1, x.shape[1], *range(window - 3, window + 7)} - own:
            stray = indices.copy()
            stray[1, window] = place
            with pytest.raises(ValueError, match=rf"indices\[1, {window}\] is {place}$"):
                gu.max_pool1d_backward(grad, stray, x.shape, *geometry, out=out)
    assert (out == 7).all()
    assert gu.max_pool1d_backward(grad, indices, x.shape, *geometry, out=out) is out


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize(
    ("shape", "windows"),
    [
        ((2, 1, 9, 8), (3, 2, 1, 1)),
        ((1, 1, 12, 5), (4, 1, 2, 2)),
        ((1, 2, 4, 6, 5), (3, 2, 1, 1)),
        ((1, 1, 5, 7, 4), ((2, 3, 2), (1, 2, 2), (1, 1, 0), (2, 1, 1))),
    ],
    ids=str,
)
def test_planes_are_cut_anywhere(shape, windows, dtype, monkeypatch):
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    rank = len(shape) - 2
    pooled, indices = POOL[rank](noise(shape, "float32"), *windows, return_indices=True)
    grad = noise(pooled.shape, "float32", 1).astype(kind)
    for part in (1 << 30, 100, 1):
        monkeypatch.setattr(pooling_backward, "_PART", part)
        pooling_backward._pool_backward_work.cache_clear()
        got = POOL_BACKWARD[rank](grad, indices, shape, *windows)
        assert_same_bits(got, naive_pool_backward(grad, indices, shape, rank))
