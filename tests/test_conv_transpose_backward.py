"""Gradients of the transposed convolution against torch's autograd, the adjoint, and finite differences."""

from __future__ import annotations

from itertools import product

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpu_upsample as gu
from gpu_upsample.cpu import reduction
from tests.cases import noise
from tests.test_conv_transpose import CLOSE, OPERATORS, assert_close, calls
from tests.tolerances import BANDS, assert_same_bits

torch = pytest.importorskip("torch")

BACKWARD = {1: gu.conv_transpose1d_backward, 2: gu.conv_transpose2d_backward, 3: gu.conv_transpose3d_backward}
# The magnitude of a sum of normal noise is that of its terms' root sum of squares; its error is of their sum.
LONG = 20


def output_shape(x, weight, options):
    """Return the shape of the transposed convolution by torch, or None if there is none."""
    function = getattr(torch.nn.functional, f"conv_transpose{weight.ndim - 2}d")
    try:
        return tuple(function(torch.from_numpy(x), torch.from_numpy(weight), **options).shape)
    except RuntimeError:  # nothing is left of the output
        return None


def torch_gradients(grad_output, x, weight, **options):
    function = getattr(torch.nn.functional, f"conv_transpose{weight.ndim - 2}d")
    tensors = [torch.from_numpy(np.ascontiguousarray(a)).requires_grad_() for a in (x, weight)]
    bias = torch.zeros(weight.shape[1] * options.get("groups", 1), dtype=tensors[0].dtype, requires_grad=True)
    result = function(*tensors, bias, **options)
    given_gradient = torch.from_numpy(np.ascontiguousarray(grad_output))
    return [g.numpy() for g in torch.autograd.grad(result, [*tensors, bias], given_gradient)]


def layer(shape, weight_shape, dtype="float64", **options):
    """Return noise for the gradient, the input and the weight of a layer."""
    x, weight = noise(shape, dtype, 1), noise(weight_shape, dtype, 2)
    expected = output_shape(np.zeros(shape), np.zeros(weight_shape), options)
    return noise(expected, dtype), x, weight


def each_close(actual, expected, tolerance=CLOSE):
    for got, wanted in zip(actual, expected, strict=True):
        assert_close(got, wanted, tolerance)


@settings(max_examples=200)
@given(calls(), st.booleans(), st.booleans())
def test_torch(call, last, deterministic):
    rank, shape, weight_shape, _, options = call
    last = last and options["stride"][-1] == 2  # one compiled kernel for this layout will do
    x, weight = noise(shape, seed=1), noise(weight_shape, seed=2)
    expected_shape = output_shape(x, weight, options)
    if expected_shape is None:
        with pytest.raises(ValueError, match="padding"):
            BACKWARD[rank](x, x, weight, **options)
        return
    y = noise(expected_shape)
    move = (lambda a: np.moveaxis(a, 1, -1)) if last else (lambda a: a)
    layout = {"data_format": "channels_last" if last else "channels_first", "deterministic": deterministic}
    got = BACKWARD[rank](move(y), move(x), weight, **options, **layout)
    grad_x, *rest = torch_gradients(y, x, weight, **options)
    each_close(got, [move(grad_x), *rest])


# Sums of more than one block and rows of more than one turn; rows as short as a vector or shorter; taps that lie so far
# apart that nothing between them is read; more columns and rows than a block has, and fewer.
LAYERS = {
    "1d": ((3, 4, 2500), (4, 3, 5), {"stride": 3, "padding": 2}),
    "few rows": ((1, 1, 100_000), (1, 1, 3), {}),
    "2d": ((2, 6, 30, 70), (6, 2, 3, 4), {"stride": (1, 2), "groups": 2, "dilation": (2, 1)}),
    "many rows": ((3, 2, 40, 50), (2, 1, 3, 3), {"stride": 2, "padding": 1, "groups": 2}),
    "3d": ((1, 3, 10, 12, 7), (3, 2, 2, 3, 4), {"stride": (2, 1, 2), "padding": 1, "output_padding": (1, 0, 0)}),
    "one channel": ((2, 3, 9, 8), (3, 1, 3, 3), {"stride": 2}),
    "many columns": ((1, 20, 60, 70), (20, 10, 4, 4), {"stride": 2, "padding": 1}),
    "blocks that end within a row": ((2, 3, 300, 90), (3, 2, 2, 3), {"padding": 1}),
    "small images": ((9, 11, 4, 4), (11, 3, 3, 5), {"stride": 2, "padding": 1}),
    "pixels": ((40, 5, 1, 1), (5, 4, 4, 4), {}),
    "three samples": ((2, 9, 5, 3), (9, 2, 5, 2), {"stride": 3, "padding": 2}),
    "taps far apart": ((2, 3, 20, 40), (3, 2, 3, 2), {"dilation": (25, 45), "padding": (7, 3)}),
    "rows far apart": ((1, 2, 20, 40), (2, 1, 2, 1), {"stride": (2, 1), "dilation": (45, 1)}),
    "a piece of one turn, half empty": ((1, 1, 1, 1034), (1, 1, 1, 1), {}),
    "strides beyond the kernel": ((2, 5, 7, 33), (5, 2, 2, 3), {"stride": (4, 7), "output_padding": (1, 2)}),
}


# One compiled kernel for channels_last will do: those of stride 2.
FORMATS = [(name, "channels_first") for name in LAYERS]
FORMATS += [(name, "channels_last") for name in LAYERS if name not in ("1d", "few rows")]


@pytest.mark.parametrize(("name", "data_format"), FORMATS)
def test_long_sums(name, data_format):
    shape, weight_shape, options = LAYERS[name]
    y, x, weight = layer(shape, weight_shape, **options)
    expected = torch_gradients(y, x, weight, **options)
    if data_format == "channels_last":
        y, x, expected[0] = (np.moveaxis(a, 1, -1) for a in (y, x, expected[0]))
    backward = BACKWARD[len(shape) - 2]
    got = backward(y, x, weight, **options, data_format=data_format)
    each_close(got, expected)
    for gradient, again in zip(
        got, backward(y, x, weight, **options, data_format=data_format, deterministic=True), strict=True
    ):
        assert_same_bits(gradient, again)


@pytest.fixture
def cut():
    """Return a function that sets how many channels of the samples and of the factors a job has."""
    with pytest.MonkeyPatch.context() as patched:

        def how(channels, factors):
            patched.setattr(reduction, "_cuts", lambda *arguments: (channels, factors))
            reduction._reduction_work.cache_clear()

        yield how
    reduction._reduction_work.cache_clear()


@pytest.mark.parametrize("name", ["2d", "many columns", "small images", "blocks that end within a row"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "complex64"])
def test_the_same_bits_in_jobs_of_any_size(name, dtype, cut):
    shape, weight_shape, options = LAYERS[name]
    y, x, weight = layer(shape, weight_shape, dtype, **options)
    expected = gu.conv_transpose2d_backward(y, x, weight, **options)[1]
    factors, channels = shape[1] // options.get("groups", 1), weight_shape[1]
    for sizes in ((1, min(8, factors)), (min(2, channels), factors), (channels, factors)):
        cut(*sizes)
        assert_same_bits(gu.conv_transpose2d_backward(y, x, weight, **options)[1], expected)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("infinite", [False, True])
@pytest.mark.parametrize(
    ("groups", "factors", "channels"),
    [(2, 3, 40), (2, 35, 2), (2, 33, 18), (2, 19, 64), (1, 1, 16), (16, 1, 1), (37, 1, 1), (20, 3, 1), (7, 2, 5)],
)
def test_neighbouring_channels_are_laid_out_together(groups, factors, channels, infinite, dtype, monkeypatch):
    """With channels last, as many as a vector has lanes, or the last that there are, even for a job of fewer."""
    options = {"stride": 2, "padding": 1, "groups": groups}
    y, x, weight = layer((2, groups * factors, 5, 21), (groups * factors, channels, 3, 4), dtype, **options)
    if infinite:
        y.flat[-1], x.flat[0] = np.inf, -np.inf
    expected = gu.conv_transpose2d_backward(y, x, weight, **options)[1]
    monkeypatch.setattr(reduction, "_SQUARE", 0)
    options["data_format"] = "channels_last"
    y, x = (np.ascontiguousarray(np.moveaxis(array, 1, -1)) for array in (y, x))
    for most in (reduction._MOST_BYTES, 20_000):  # smaller jobs
        monkeypatch.setattr(reduction, "_MOST_BYTES", most)
        reduction._reduction_work.cache_clear()
        assert_same_bits(gu.conv_transpose2d_backward(y, x, weight, **options)[1], expected)
    reduction._reduction_work.cache_clear()


def windows_that_exist(y, x, weight_shape, stride, padding, dilation):
    """Return the gradient for the weight as sums over the windows in which each tap sees a sample, of one image."""
    found = np.zeros(weight_shape)
    for place in np.ndindex(*weight_shape[2:]):
        at = [np.arange(n) * stride + tap * dilation - padding for n, tap in zip(x.shape[2:], place, strict=True)]
        inside = [(axis >= 0) & (axis < n) for axis, n in zip(at, y.shape[2:], strict=True)]
        seen = y[0][np.ix_(range(y.shape[1]), *(axis[there] for axis, there in zip(at, inside, strict=True)))]
        factors = x[0][np.ix_(range(x.shape[1]), *(there.nonzero()[0] for there in inside))]
        with np.errstate(all="ignore"):
            found[(..., *place)] = (factors[:, None] * seen[None]).reshape(*weight_shape[:2], -1).sum(-1)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("width", [3, 9, 40])
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_only_windows_that_exist_count(data_format, width, dtype):
    """What is not finite shows in the sums that it belongs to, and in no others."""
    random, options = np.random.default_rng(width), {"stride": 2, "padding": 2, "dilation": 2}
    y, x, weight = layer((1, 11, 6, width), (11, 5, 3, 3), **options)
    y, x = (np.rint(4 * array) for array in (y, x))
    for array in (y, x):
        array.flat[random.choice(array.size, 3, replace=False)] = np.inf, -np.inf, np.nan
    y[0, 1, 2, -1] = np.inf  # which a tap would see in a window behind the last one
    expected = windows_that_exist(y, x, weight.shape, **options)
    assert 0 < np.isfinite(expected).sum() < expected.size
    last = data_format == "channels_last"
    arrays = (np.moveaxis(array, 1, -1) if last else array for array in (y, x))
    got = gu.conv_transpose2d_backward(
        *(array.astype(dtype) for array in arrays), weight.astype(dtype), **options, data_format=data_format
    )[1]
    np.testing.assert_array_equal(got, expected.astype(dtype))


@pytest.mark.parametrize("images", [1, 3])
def test_only_some_jobs_are_done_again(images, cut):
    """What is not finite belongs to one of two jobs, and lies beside rows that do not exist, in an image of several."""
    options = {"stride": 1, "padding": 2, "dilation": 1}
    y, x, weight = layer((images, 2, 40, 40), (2, 2, 3, 3), "float32", **options)
    y, x = np.rint(4 * y), np.rint(4 * x)
    x[-1, 0, 0, 5] = np.inf
    cut(2, 1)
    got = gu.conv_transpose2d_backward(y, x, weight, **options)[1]
    each = [windows_that_exist(y[i : i + 1], x[i : i + 1], weight.shape, **options) for i in range(images)]
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(got, np.sum(each, axis=0, dtype=np.float32))


def test_taps_that_lie_very_far_apart():
    """Only padding that cuts off what lies between lets such outputs fit into memory."""
    options = {"padding": (5 * 10**8, 0), "dilation": (10**9, 1)}
    y, x, weight = layer((1, 1, 4, 40), (1, 1, 2, 1), **options)
    for turned in (False, True):
        if turned:
            y, x, weight = (np.ascontiguousarray(array.swapaxes(2, 3)) for array in (y, x, weight))
            options = {name: value[::-1] for name, value in options.items()}
        gradients = gu.conv_transpose2d_backward(y, x, weight, **options)
        assert not gradients[1].any()
        assert_close(gradients[2], y.sum((0, 2, 3)))


def test_a_total_of_zeros_has_no_sign():
    y, x = np.full((1, 3, 6, 6), -0.0), np.ones((1, 2, 4, 4))
    for gradient in gu.conv_transpose2d_backward(y, x, np.ones((2, 3, 3, 3))):
        assert_same_bits(gradient, np.zeros_like(gradient))


# Rows of several vectors, strides that are read in vectors or one by one, and channels and taps that do not divide.
ROWS = {
    "one turn": ((2, 5, 3, 30), (5, 3, 2, 3), 1, 1),
    "turns that overlap the border": ((2, 7, 3, 70), (7, 2, 2, 5), 2, 2),
    "whole turns": ((2, 13, 2, 64), (13, 3, 1, 4), 4, 0),
    "a large stride": ((1, 6, 2, 40), (6, 2, 1, 11), 9, 4),
    "short rows": ((3, 6, 5, 7), (6, 5, 3, 3), 3, 1),
    "depthwise": ((2, 1, 4, 100), (1, 3, 2, 7), 2, 3),
}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("name", ROWS)
def test_rows_of_any_length(name, dtype):
    """Sums of integers, which are exact: any term that is missing, there twice or read elsewhere shows."""
    shape, weight_shape, stride, padding = ROWS[name]
    options = {"stride": (1, stride), "padding": (0, padding)}
    random = np.random.default_rng(0)

    def whole(like):
        real, imaginary = random.integers(-2, 3, (2, *like.shape)).astype(np.float64)
        return real + 1j * imaginary if "complex" in dtype else real

    y, x, weight = map(whole, layer(shape, weight_shape, **options))
    expected = torch_gradients(y, x, weight, **options)
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    for layout in (lambda a: a, lambda a: np.moveaxis(a, 1, -1)):
        got = gu.conv_transpose2d_backward(
            layout(y.astype(kind)), layout(x.astype(kind)), weight.astype(kind), **options,
            needs=(False, True, True), data_format="channels_first" if layout(y) is y else "channels_last",
        )  # fmt: skip
        for gradient, wanted in zip(got[1:], expected[1:], strict=True):
            np.testing.assert_array_equal(gradient, wanted.astype(kind))


@pytest.mark.parametrize(("rank", "dtype"), [(1, "float64"), (2, "float64"), (3, "float64"), (3, "complex128")])
def test_adjoints(rank, dtype):
    """<A x, y> = <x, A^H y>, for the layer as a linear map of its input, of its weight and of its bias."""
    geometry = {"stride": (1, 3, 2)[:rank], "padding": 1, "dilation": (1, 2, 1)[:rank], "groups": 2}
    y, x, weight = layer((2, 4, *(6, 5, 4)[:rank]), (4, 3, *(3, 2, 4)[:rank]), dtype, **geometry)
    bias = noise((6,), dtype, 3)
    spread = np.zeros_like(y) + bias.reshape(1, -1, *[1] * rank)
    for deterministic in (False, True):
        grads = BACKWARD[rank](y, x, weight, **geometry, deterministic=deterministic)
        product = np.vdot(OPERATORS[rank](x, weight, **geometry), y)
        magnitude = np.linalg.norm(y) * np.linalg.norm(x)
        for given_array, gradient, expected in zip((x, weight, bias), grads, (product, product, None), strict=True):
            wanted = np.vdot(spread, y) if expected is None else expected
            assert abs(np.vdot(given_array, gradient) - wanted) <= CLOSE * magnitude


def test_finite_differences():
    options = {"stride": 2, "padding": 1, "dilation": 2}
    y, x, weight = layer((1, 2, 4, 3), (2, 3, 2, 3), **options)
    bias = noise((3,), seed=3)

    def loss(x, weight, bias):
        return (gu.conv_transpose2d(x, weight, bias, **options) * y).sum()

    arguments = (x, weight, bias)
    for position, gradient in enumerate(gu.conv_transpose2d_backward(y, x, weight, **options)):
        for place in np.ndindex(gradient.shape):
            moved = []
            for step in (0.5, -0.5):
                changed = [a.copy() for a in arguments]
                changed[position][place] += step
                moved.append(loss(*changed))
            # The loss is linear in each: the difference is the derivative, but for rounding.
            assert moved[0] - moved[1] == pytest.approx(gradient[place], abs=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64", "complex128"])
@pytest.mark.parametrize("deterministic", [False, True])
def test_dtypes(dtype, deterministic):
    wide = np.complex128 if "complex" in dtype else np.float64
    y, x, weight = layer((2, 20, 5, 6), (20, 6, 3, 2), dtype, stride=2)
    got = gu.conv_transpose2d_backward(y, x, weight, stride=2, deterministic=deterministic)
    assert [g.dtype for g in got] == [x.dtype] * 3
    expected = torch_gradients(*(a.astype(wide) for a in (y, x, weight)), stride=2)
    last_place = {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(dtype, 0)
    each_close([g.astype(wide) for g in got], expected, LONG * BANDS[dtype] + last_place)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("deterministic", [False, True])
def test_half_precision_is_summed_in_single(dtype, deterministic):
    """Sums of 16384 ones, next to 2**-4: no half-precision sum gets there, nor does one that rounds on the way."""
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    y = (1 + noise((4, 33, 64, 64)) / 8).astype(kind)
    x = (1 + noise((4, 2, 64, 64), seed=1) / 8).astype(kind)
    weight = noise((2, 33, 1, 1), seed=2).astype(kind)
    _, grad_weight, grad_bias = gu.conv_transpose2d_backward(y, x, weight, deterministic=deterministic)
    wide_y, wide_x = y.astype(np.float64), x.astype(np.float64)
    expected = np.einsum("ncij,ndij->cd", wide_x, wide_y)[..., None, None]
    for got, wanted in ((grad_weight, expected), (grad_bias, wide_y.sum((0, 2, 3)))):
        assert abs(wanted).min() > 16000
        half_unit = 2.0 ** (-11 if dtype == "float16" else -8)
        assert (abs(got.astype(np.float64) - wanted) <= wanted * (half_unit + 1e-5)).all()


def test_one_order_whatever_the_number_of_threads(use_threads):
    options = {"stride": 2, "padding": 1, "deterministic": True}
    y, x, weight = layer((2, 20, 60, 40), (20, 4, 3, 3), "float32", stride=2, padding=1)
    results = []
    for threads in ("1", "2", "2"):
        use_threads(threads)
        results.append(gu.conv_transpose2d_backward(y, x, weight, **options))
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            assert_same_bits(first, second)


def in_order(terms):
    """Add up terms, an array of rows, in float32: by lanes of 32 columns and blocks of 1024 turns, as the plan says."""
    turns = [row[left : left + 32] for row in terms for left in range(0, terms.shape[1], 32)]
    total = np.float32(0)
    for block in range(0, len(turns), 1024):
        lanes = np.zeros(32, np.float32)
        for turn in turns[block : block + 1024]:
            lanes[: len(turn)] += turn
        for lane in lanes:
            total += lane
    return total


@pytest.mark.parametrize(("shape", "columns"), [((2, 700), 50), ((3, 500), 19), ((5, 300), 7), ((1, 40), 1)])
def test_the_order_of_the_sums(shape, columns):
    """Products of halves, which are exact, so that a fused multiply-add is the sum of one and a term."""
    images, rows = shape
    y, x = (noise((images, 1, rows, columns), "float32", seed).astype(np.float16).astype(np.float32) for seed in (0, 1))
    y *= np.float32(1024)
    _, for_weight, for_bias = gu.conv_transpose2d_backward(y, x, np.ones((1, 1, 1, 1), np.float32))
    assert for_weight.item() == in_order((x * y).reshape(-1, columns))
    assert for_bias.item() == in_order(y.reshape(-1, columns))


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("channels", [1, 20])
def test_only_what_is_needed(channels, deterministic):
    y, x, weight = layer((2, channels, 5, 4), (channels, 5, 3, 3), "float32")
    options = {"deterministic": deterministic}
    every = gu.conv_transpose2d_backward(y, x, weight, **options)
    for needs in np.ndindex(2, 2, 2):
        wanted = tuple(map(bool, needs))
        got = gu.conv_transpose2d_backward(y, x, weight, needs=wanted, **options)
        assert isinstance(got, tuple)
        for need, gradient, expected in zip(wanted, got, every, strict=True):
            if need:
                assert_same_bits(gradient, expected)
            else:
                assert gradient is None


@pytest.mark.parametrize("channels", [1, 20])
@pytest.mark.parametrize("deterministic", [False, True])
def test_an_empty_batch_has_zero_gradients(channels, deterministic):
    shapes = (0, 4, 9), (0, channels, 9), (channels, 4, 1)
    got = gu.conv_transpose1d_backward(*map(np.zeros, shapes), deterministic=deterministic)
    for gradient, shape in zip(got, ((0, channels, 9), (channels, 4, 1), (4,)), strict=True):
        assert_same_bits(gradient, np.zeros(shape))


def test_unbatched_strided_and_torch_arrays():
    y, x, weight = layer((1, 4, 5), (4, 2, 3), stride=2)
    batched = gu.conv_transpose1d_backward(y, x, weight, stride=2)
    single = gu.conv_transpose1d_backward(y[0], x[0], weight, stride=2)
    each_close(single, [batched[0][0], *batched[1:]], 0)
    tensors = gu.conv_transpose1d_backward(*map(torch.from_numpy, (y, x, weight)), stride=2)
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors)
    each_close([tensor.numpy() for tensor in tensors], batched, 0)
    turned = [np.ascontiguousarray(a[..., ::-1])[..., ::-1] for a in (y, x, weight)]
    assert turned[0].strides != y.strides
    each_close(gu.conv_transpose1d_backward(*turned, stride=2), batched, 0)


@pytest.mark.parametrize("needs", list(product((True, False), repeat=3)))
def test_out(needs):
    given = {"grad_output": Y, "x": X, "weight": W, "needs": needs}
    shapes = (X.shape, W.shape, (2,))
    out = tuple(np.full(shape, 7.0) if need else None for shape, need in zip(shapes, needs, strict=True))
    got = gu.conv_transpose2d_backward(**given, out=out)
    for result, goal, expected in zip(got, out, gu.conv_transpose2d_backward(**given), strict=True):
        assert result is goal
        if goal is not None:
            assert_same_bits(goal, expected)


def test_what_no_tap_sees_stays_out():
    """Where padding cuts an input's outputs off, or a tap never meets one, its infinity does not turn into NaN."""
    x, weight = noise((1, 1, 4)), noise((1, 1, 3))
    x[..., 0] = weight[..., 0] = np.inf
    y = noise((1, 1, 4))
    grad_x, grad_weight, _ = gu.conv_transpose1d_backward(y, x, weight, padding=1, deterministic=True)
    assert not np.isnan(grad_x).any()
    assert np.isfinite(grad_weight[..., 0]).all()
    assert np.isfinite(grad_x[..., 0]).all()


X, W, Y = noise((1, 4, 5, 5)), noise((4, 2, 3, 3)), noise((1, 2, 7, 7))
BAD = {
    "shape": (ValueError, r"grad_output.*\(1, 2, 7, 7\).*\(1, 2, 7, 8\)", {"grad_output": noise((1, 2, 7, 8))}),
    "unbatched": (ValueError, "grad_output", {"grad_output": Y[0]}),
    "dtype": (TypeError, "grad_output.*float64.*float32", {"grad_output": Y.astype(np.float32)}),
    "kind": (TypeError, "one kind.*grad_output", {"grad_output": torch.from_numpy(Y)}),
    "list": (TypeError, "grad_output must be", {"grad_output": Y.tolist()}),
    "weight": (ValueError, "weight.*channels", {"weight": noise((3, 2, 3, 3))}),
    "weight dtype": (TypeError, "weight.*float64", {"weight": W.astype(np.float32)}),
    "integers": (TypeError, "x must have one of the dtypes", {"x": X.astype(np.int32)}),
    "groups": (ValueError, "groups", {"groups": 3}),
    "stride": (ValueError, "stride", {"stride": 0}),
    "output_padding": (ValueError, "output_padding", {"output_padding": 1}),
    "padding": (ValueError, "padding", {"padding": 4}),
    "too long": (ValueError, "dilation", {"dilation": 2**31 - 1, "padding": 2**31 - 1}),
    "data_format": (ValueError, "data_format", {"data_format": "NCHW"}),
    "precision": (ValueError, "precision", {"precision": "half"}),
    "needs": (ValueError, "needs", {"needs": (True, True)}),
    "needs alone": (ValueError, "needs", {"needs": True}),
    "needs of numbers": (TypeError, "needs", {"needs": (1, 0, 0)}),
    "out": (TypeError, r"out must be \(array, array, array\) with needs.*got \(ndarray\)", {"out": X.copy()}),
    "some out": (TypeError, r"got \(ndarray, NoneType, ndarray\)", {"out": (X.copy(), None, np.zeros(2))}),
    "out for nothing": (
        TypeError,
        r"out must be \(array, None, array\)",
        {"out": (X,) * 3, "needs": (True, False, True)},
    ),
    "shape of out": (ValueError, "out must have shape", {"out": (X.copy(), W.copy(), np.zeros(3))}),
    "out that overlaps": (ValueError, "out must not overlap x", {"out": (X, W.copy(), np.zeros(2))}),
    "backend": (ValueError, "backend", {"backend": "gpu"}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    error, message, change = BAD[name]
    with pytest.raises(error, match=message):
        gu.conv_transpose2d_backward(**{"grad_output": Y, "x": X, "weight": W} | change)


def test_infinite_gradients_are_silent() -> None:
    x, weight = np.zeros((1, 40, 9, 9), np.float32), np.ones((40, 40, 3, 3), np.float32)
    with np.errstate(all="raise"):
        _, grad_weight = gu.conv_transpose2d_backward(np.full((1, 40, 11, 11), np.inf, np.float32), x, weight)[:2]
    assert np.isnan(grad_weight).all()
