"""Transposed convolution against torch, the sparse matrix `C.T @ x`, zero insertion, a scatter, and the gradient."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve

import gpu_upsample as gu
from tests.cases import noise
from tests.tolerances import BANDS, assert_same_bits

torch = pytest.importorskip("torch")

# The sums are of other lengths and orders than the references'.
CLOSE = 1e-12
OPERATORS = {1: gu.conv_transpose1d, 2: gu.conv_transpose2d, 3: gu.conv_transpose3d}


def assert_close(actual, expected, tolerance=CLOSE):
    assert actual.shape == expected.shape
    scale = np.abs(expected).max(initial=0) or 1
    assert np.abs(actual - expected).max(initial=0) <= tolerance * scale


def torch_result(x, weight, bias=None, **options):
    function = getattr(torch.nn.functional, f"conv_transpose{weight.ndim - 2}d")
    arrays = (None if a is None else torch.from_numpy(np.ascontiguousarray(a)) for a in (x, weight, bias))
    return function(*arrays, **options).numpy()


def scatter(x, weight, stride, padding, dilation, size_out):
    """Return the transposed convolution of one image by its definition: every input adds its kernel to the output."""
    rank = x.ndim - 1
    out = np.zeros((weight.shape[1], *size_out), weight.dtype)
    for place in np.ndindex(*x.shape[1:]):
        for tap in np.ndindex(*weight.shape[2:]):
            target = tuple(place[a] * stride[a] - padding[a] + tap[a] * dilation[a] for a in range(rank))
            if all(0 <= t < n for t, n in zip(target, size_out, strict=True)):
                out[(slice(None), *target)] += x[(slice(None), *place)] @ weight[(slice(None), slice(None), *tap)]
    return out


@st.composite
def calls(draw):
    """Draw a layer: rank, groups, channels, sizes and geometry, sums short and long."""
    rank = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    channels = groups * draw(st.sampled_from([1, 2, 5, 33]))
    stride, dilation = axis(1, 3), axis(1, 3)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    shape = (draw(st.integers(1, 2)), channels, *axis(1, 6))
    weight = (channels, draw(st.integers(1, 3)), *axis(1, 4))
    options = {"stride": stride, "padding": axis(0, 2), "output_padding": extra, "groups": groups, "dilation": dilation}
    return rank, shape, weight, draw(st.booleans()), options


@settings(max_examples=2000)
@given(calls(), st.booleans(), st.booleans())
def test_torch(call, last, deterministic):
    rank, shape, weight_shape, biased, options = call
    x, weight = noise(shape), noise(weight_shape, seed=1)
    bias = noise((weight_shape[1] * options["groups"],), seed=2) if biased else None
    given_x = np.moveaxis(x, 1, -1) if last else x
    layout = {"data_format": "channels_last" if last else "channels_first", "deterministic": deterministic}
    try:
        expected = torch_result(x, weight, bias, **options)
    except RuntimeError:  # nothing is left of the output
        with pytest.raises(ValueError, match="padding"):
            OPERATORS[rank](given_x, weight, bias, **options, **layout)
        return
    got = OPERATORS[rank](given_x, weight, bias, **options, **layout)
    assert_close(np.moveaxis(got, -1, 1) if last else got, expected)


def test_the_definition():
    x, weight = noise((3, 4, 5)), noise((3, 2, 3, 2), seed=1)
    geometry = {"stride": (2, 3), "padding": (1, 0), "dilation": (2, 1)}
    got = gu.conv_transpose2d(x, weight, **geometry)
    assert_close(got, scatter(x, weight, **geometry, size_out=got.shape[1:]))


def test_the_sparse_matrix():
    """A 3x3 kernel on a 4x4 image: y = C x is the convolution, C.T @ y the transposed one."""
    weight = noise((3, 3))
    rows, columns, values = [], [], []
    for (i, j), (a, b) in itertools.product(np.ndindex(2, 2), np.ndindex(3, 3)):
        rows.append(i * 2 + j)
        columns.append((i + a) * 4 + j + b)
        values.append(weight[a, b])
    matrix = scipy.sparse.csr_array((values, (rows, columns)), shape=(4, 16))
    x, y = noise((1, 4, 4), seed=1), noise((1, 2, 2), seed=2)
    convolved = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(weight[None, None])).numpy()
    assert_close(convolved.ravel(), matrix @ x.ravel())
    assert_close(gu.conv_transpose2d(y, weight[None, None]).ravel(), matrix.T @ y.ravel())


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_zero_insertion_and_convolution(stride):
    x, weight = noise((1, 6, 7)), noise((1, 1, 3, 4), seed=1)
    spread = np.zeros(tuple((n - 1) * stride + 1 for n in x.shape[1:]))
    spread[::stride, ::stride] = x[0]
    assert_close(gu.conv_transpose2d(x, weight, stride=stride)[0], convolve(spread, weight[0, 0]))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_gradient_of_the_convolution(rank):
    weight = noise((4, 3, *(3, 2, 3)[:rank]))
    image = torch.from_numpy(noise((2, 3, *(9, 8, 7)[:rank]), seed=1)).requires_grad_()
    options = {"stride": 2, "padding": 1}
    result = getattr(torch.nn.functional, f"conv{rank}d")(image, torch.from_numpy(weight), **options)
    y = noise(tuple(result.shape), seed=2)
    (expected,) = torch.autograd.grad(result, image, torch.from_numpy(y))
    rest = tuple((n + 2 - k) % 2 for n, k in zip(image.shape[2:], weight.shape[2:], strict=True))
    assert_close(OPERATORS[rank](y, weight, output_padding=rest, **options), expected.numpy())


def test_the_only_item_of_a_sequence_serves_all_axes():
    x, weight = noise((1, 2, 3, 4), "float32"), noise((2, 3, 3, 3), "float32", 1)
    expected = gu.conv_transpose2d(x, weight, None, 2, 1, 1)
    assert_same_bits(gu.conv_transpose2d(x, weight, None, (2,), [1], np.array([1]), dilation=(1,)), expected)
    layer = gu.nn.ConvTranspose2d(2, 3, (3,), [2], (1,), (1,), bias=False, weight=weight)
    assert_same_bits(layer(x), expected)


@pytest.mark.parametrize("scale", [2, 3, 4, (2, 3)])
def test_bilinear_weight_is_linear_interpolation_inside(scale):
    x = noise((1, 3, 7, 8))
    scales = (scale, scale) if isinstance(scale, int) else scale
    weight = gu.bilinear_weight(3, scale, dtype=np.float64)
    padding = tuple((k - s + 1) // 2 for k, s in zip(weight.shape[2:], scales, strict=True))
    got = gu.conv_transpose2d(x, weight, stride=scales, padding=padding, groups=3)
    expected = gu.interpolate(x, scale_factor=scales, mode="bilinear")
    inside = tuple(slice(s, n - s) for s, n in zip(scales, expected.shape[2:], strict=True))
    assert_close(got[(..., *inside)], expected[(..., *inside)])


def test_arguments_of_bilinear_weight():
    expected = gu.bilinear_weight(1, (2, 2))
    for scale in (2, np.int64(2), [2, 2], np.array([2, 2]), np.array(2)):
        np.testing.assert_array_equal(gu.bilinear_weight(np.int8(1), scale), expected)
    for scale in (2.0, (2, 2.0), "2", None, True):
        with pytest.raises(TypeError, match="scale must be an integer, got"):
            gu.bilinear_weight(1, scale)
    with pytest.raises(ValueError, match="scale must be at least 1, got 0"):
        gu.bilinear_weight(1, 0)
    with pytest.raises(ValueError, match="channels must be positive, got 0"):
        gu.bilinear_weight(0, 2)
    with pytest.raises(ValueError, match=r"scale must have one to three entries, one per spatial axis; got \(\)"):
        gu.bilinear_weight(1, ())
    with pytest.raises(TypeError, match="dtype must be one of"):
        gu.bilinear_weight(1, 2, int)
    with pytest.raises(TypeError, match=r"dtype must be one of .* got 'foo'"):
        gu.bilinear_weight(1, 2, dtype="foo")
    with pytest.raises(ValueError, match="scale must be at most 2147483647"):
        gu.bilinear_weight(1, 10**30)
    with pytest.raises(ValueError, match="dilation must be at most 2147483647, got 9223372036854775808"):
        gu.conv_transpose1d(np.ones((1, 1, 1)), np.ones((1, 1, 1)), dilation=2**63)


@pytest.mark.parametrize("channels", [2, 40])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64", "complex128"])
@pytest.mark.parametrize("deterministic", [False, True])
def test_dtypes(dtype, channels, deterministic):
    wide = np.complex128 if "complex" in dtype else np.float64
    x, weight, bias = (noise(s, dtype, i) for i, s in enumerate([(2, channels, 5, 6), (channels, 3, 3, 2), (3,)]))
    got = gu.conv_transpose2d(x, weight, bias, stride=2, deterministic=deterministic)
    assert got.dtype == x.dtype
    expected = torch_result(x.astype(wide), weight.astype(wide), bias.astype(wide), stride=2)
    last_place = {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(dtype, 0)
    assert_close(got.astype(wide), expected, 10 * BANDS[dtype] + last_place)


@pytest.mark.parametrize("channels", [3, 40])
def test_one_thread_and_two_give_the_same_bits(channels, use_threads):
    x, weight = noise((1, channels, 60, 60), "float32"), noise((channels, 4, 3, 3), "float32", 1)
    results = []
    for threads in ("1", "2"):
        use_threads(threads)
        results.append(gu.conv_transpose2d(x, weight, stride=2, deterministic=True))
    assert_same_bits(*results)


def test_large_images_are_cut_into_blocks():
    x, weight = noise((1, 64, 130, 90)), noise((64, 4, 5, 5), seed=1)
    assert_close(gu.conv_transpose2d(x, weight, stride=3), torch_result(x, weight, stride=3))


def test_unbatched_empty_and_torch_arrays():
    x, weight = noise((4, 5)), noise((4, 2, 3), seed=1)
    single = gu.conv_transpose1d(x, weight, stride=2)
    assert_close(single, gu.conv_transpose1d(x[None], weight, stride=2)[0])
    assert gu.conv_transpose1d(np.zeros((0, 4, 5)), weight, stride=2).shape == (0, 2, 11)
    tensor = gu.conv_transpose1d(torch.from_numpy(x), torch.from_numpy(weight), stride=2)
    assert isinstance(tensor, torch.Tensor)
    assert_close(tensor.numpy(), single)
    out = np.zeros_like(single)
    assert gu.conv_transpose1d(x, weight, stride=2, out=out) is out
    assert_close(out, single)
    strided = gu.conv_transpose1d(x[::-1, ::-1], weight, stride=2)
    assert_close(strided, gu.conv_transpose1d(np.ascontiguousarray(x[::-1, ::-1]), weight, stride=2))


X, W = noise((1, 4, 5, 5)), noise((4, 2, 3, 3))
BAD = {
    "channels": (ValueError, "weight.*channels", {"weight": noise((3, 2, 3, 3))}),
    "groups": (ValueError, "groups", {"groups": 3}),
    "no groups": (ValueError, "groups", {"groups": 0}),
    "bias": (ValueError, r"bias.*\(2,\)", {"bias": np.zeros(3)}),
    "output_padding": (ValueError, "output_padding", {"output_padding": 2, "stride": 2}),
    "negative padding": (ValueError, "padding", {"padding": -1}),
    "stride": (ValueError, "stride", {"stride": 0}),
    "fractional stride": (TypeError, "stride", {"stride": 1.5}),
    "three strides": (ValueError, "stride", {"stride": (1, 2, 3)}),
    "nothing left": (ValueError, "padding", {"padding": 4}),
    "dtype": (TypeError, "weight.*float64", {"weight": W.astype(np.float32)}),
    "integers": (TypeError, "x must have one of the dtypes", {"x": X.astype(np.int32)}),
    "rank": (ValueError, "axes", {"x": np.zeros((4, 5))}),
    "weight rank": (ValueError, "weight", {"weight": np.zeros((4, 2, 3))}),
    "empty axis": (ValueError, "empty", {"x": np.zeros((1, 4, 0, 5))}),
    "deterministic": (TypeError, "deterministic must be True or False, got 'no'", {"deterministic": "no"}),
    "data_format": (ValueError, "data_format", {"data_format": "NCHW"}),
    "precision": (ValueError, "precision", {"precision": "half"}),
    "kinds": (TypeError, "one kind", {"weight": torch.from_numpy(W)}),
    "list": (TypeError, "weight must be", {"weight": W.tolist()}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    error, message, change = BAD[name]
    out = np.full((1, 2, 7, 7), 7.0)
    with pytest.raises(error, match=message):
        gu.conv_transpose2d(**{"x": X, "weight": W, "out": out} | change)
    assert (out == 7).all()


@pytest.mark.parametrize(("channels", "results"), [(1, 1), (40, 24)], ids=["by rows", "in tiles"])
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_a_sample_that_is_not_there_meets_no_factor(dtype, data_format, channels, results):
    """At the edges of an image, taps without a sample may be infinite or NaN."""
    x, weight = noise((1, channels, 5, 7)).astype(dtype), noise((channels, results, 3, 3), seed=1).astype(dtype)
    weight[:, -1, 0], weight[:, -2:-1, :, 2] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        expected = scatter(x[0], weight, (2, 2), (0, 0), (1, 1), (11, 15))
    last = data_format == "channels_last"
    given_x = np.moveaxis(x, 1, -1) if last else x
    result = gu.conv_transpose2d(given_x, weight, stride=2, data_format=data_format, deterministic=True)[0]
    result, finite = np.moveaxis(result, -1, 0) if last else result, np.isfinite(expected)
    assert 0 < finite.sum() < finite.size
    np.testing.assert_array_equal(np.isfinite(result), finite)
    assert_close(result[finite], expected[finite], 1e-5 if dtype == "float32" else CLOSE)


@pytest.mark.parametrize(("channels", "results"), [(1, 1), (40, 24)], ids=["by rows", "in tiles"])
@pytest.mark.parametrize("biased", [False, True])
def test_no_sum_is_minus_zero(biased, channels, results):
    """Neither where no term is, nor where all of them are -0.0, nor the bias."""
    x, weight = np.full((1, channels, 3, 4), -0.0), np.abs(noise((channels, results, 3, 3)))
    bias = np.full(results, -0.0) if biased else None
    result = gu.conv_transpose2d(x, weight, bias, stride=2, dilation=2, deterministic=True)
    assert_same_bits(result, np.zeros_like(result))


def test_arrays_are_freed_at_once():
    """Not when garbage is collected some time: the next call would take memory that is not in the caches."""
    x, weight = noise((1, 40, 5, 7)), noise((40, 24, 3, 3))
    gc.disable()
    try:
        gu.conv_transpose2d(x, weight, deterministic=True)
        alive = weakref.ref(x)
        del x
        assert alive() is None
    finally:
        gc.enable()
