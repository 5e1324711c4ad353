"""Calls that nobody thought of: the operators and their gradients on the host twin give the CPU backend's bits."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpu_upsample as gu

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
pytest.importorskip("torch", reason="the files that draw calls compare with torch")
from tests.devices import Twin
from tests.test_conv_transpose import calls as layers
from tests.test_pooling import POOL, geometries
from tests.test_rearrange import LEADING, factors, windows
from tests.test_twin import assert_equals_cpu, bits, sample

METHODS = ["nearest", "linear", "cubic", "lanczos2", "lanczos3", "area", "box", "hamming", "mitchell"]
RATIOS = [2, 3, 0.5, 0.25, 1.37, 0.61, 1, 1.25, 0.75]
DTYPES = ["float32", "uint8", "float16", "int16", "uint16", "float64", "complex64"]


@st.composite
def lengths(draw, most):
    """Return a length and another to resize it to; often by a common ratio, often to a multiple of 16."""
    n = draw(st.integers(1, most))
    m = int(n * draw(st.sampled_from(RATIOS))) if draw(st.booleans()) else draw(st.integers(1, most))
    if draw(st.booleans()):
        n, m = -(-n // 16) * 16, -(-m // 16) * 16
    return n, max(1, m)


@st.composite
def calls(draw):
    """Return the shape of an array, and what `resize` is told."""
    rank = draw(st.integers(1, 4))
    short = 10 if rank < 4 else 4
    pairs = [*(draw(lengths(short)) for _ in range(rank - 1)), draw(lengths(300 if rank < 4 else 40))]
    before, behind = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 1, 2, 3, 8, 33] if rank < 4 else [1, 3]))
    shape = (before, *(n for n, _ in pairs), behind)
    kept = draw(st.integers(0, 2 * rank))  # an axis that stays as it is, or none
    axes = [axis for axis in range(rank) if axis != kept or rank == 1]
    pairs = [pairs[axis] for axis in axes]
    method = draw(st.sampled_from(METHODS))
    options = {
        "size": tuple(m for _, m in pairs),
        "axes": tuple(1 + axis for axis in axes),
        "method": method,
        "antialias": method != "nearest" and draw(st.booleans()),
        "border": draw(st.sampled_from(["clamp", "constant", "renormalize", "extrapolate"])),
    }
    if method != "area":
        options["coordinates"] = draw(st.sampled_from(["half_pixel", "align_corners", "asymmetric"]))
    if draw(st.booleans()):
        edges = st.tuples(st.floats(-2, 1), st.floats(-1, 2))
        drawn = [(n, *draw(edges)) for n, _ in pairs]
        options["box"] = tuple((low, max(n + high, low + 1.5)) for n, low, high in drawn)
    return shape, options


checked = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@pytest.mark.thorough
@checked
@given(calls(), st.sampled_from(DTYPES), st.integers(0, 2**16))
def test_resize(call, dtype, seed):
    shape, options = call
    fill = {"fill_value": 3 if dtype != "complex64" else 0} if options["border"] == "constant" else {}
    assert_equals_cpu(Twin(), gu.resize, sample(shape, dtype, seed), **options, **fill)


@pytest.mark.thorough
@checked
@given(calls(), st.sampled_from(["float32", "float16", "float64"]), st.integers(0, 2**16))
def test_gradient(call, dtype, seed):
    shape, options = call
    resized = dict(zip(options["axes"], options["size"], strict=True))
    grad = sample(tuple(resized.get(axis, n) for axis, n in enumerate(shape)), dtype, seed)
    assert_equals_cpu(Twin(), gu.resize_backward, grad, input_size=shape, **options)


# ---- the other operators ----------------------------------------------------------------------------------------
def assert_same_on_the_twin(operator, *arrays, **options):
    expected = operator(*arrays, backend="cpu", **options)
    got = Twin()(operator, *arrays, **options)
    both = zip(*(found if isinstance(found, tuple) else (found,) for found in (got, expected)), strict=True)
    for device, host in both:
        assert (device.shape, device.dtype) == (host.shape, host.dtype)
        np.testing.assert_array_equal(bits(device), bits(host))


@pytest.mark.thorough
@checked
@given(factors(), st.sampled_from([(), (2,), (3, 1)]), st.sampled_from(DTYPES), st.integers(0, 2**16))
def test_shuffles(drawn, leading, dtype, seed):
    n, factor = drawn
    x = sample((*leading, 2 * prod(factor), *n), dtype, seed)
    assert_same_on_the_twin(gu.pixel_shuffle, x, upscale_factor=factor)
    large = gu.pixel_shuffle(x, factor)
    assert_same_on_the_twin(gu.pixel_unshuffle, large, downscale_factor=factor)


@pytest.mark.thorough
@checked
@given(windows(), LEADING, st.sampled_from(["float32", "float16", "float64", "complex64"]), st.integers(0, 2**16))
def test_unfold_and_fold(drawn, leading, dtype, seed):
    n, geometry = drawn
    x = sample((*leading, *n), dtype, seed)
    assert_same_on_the_twin(gu.unfold, x, **geometry)
    assert_same_on_the_twin(gu.fold, gu.unfold(x, **geometry), output_size=n, **geometry)


@pytest.mark.thorough
@checked
@given(geometries(), st.sampled_from(DTYPES[:-1]), st.sampled_from(["int64", "int32"]), st.integers(0, 2**16))
def test_pooling_and_its_gradients(geometry, dtype, kind, seed):
    rank, shape, kernel, stride, padding, dilation, ceil_mode = geometry
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    options = dict(zip(names, (kernel, stride, padding, dilation, ceil_mode), strict=True))
    x, operator = sample(shape, dtype, seed), POOL[rank]
    assert_same_on_the_twin(operator, x, return_indices=True, **options)
    values, indices = operator(x, return_indices=True, **options)
    indices = indices.astype(kind)
    size, counts = shape[-rank:], values.shape[-rank:]
    usual = [(m - 1) * step + taps for m, step, taps in zip(counts, stride, kernel, strict=True)]
    if all(abs(n - m) < step for n, m, step in zip(size, usual, stride, strict=True)):
        windows_of = {"kernel_size": kernel, "stride": stride, "output_size": size}
        assert_same_on_the_twin(getattr(gu, f"max_unpool{rank}d"), values, indices, **windows_of)
    if "float" in dtype:
        backward = getattr(gu, f"max_pool{rank}d_backward")
        assert_same_on_the_twin(backward, values, indices, input_size=shape, **options)
        backward = getattr(gu, f"max_unpool{rank}d_backward")
        assert_same_on_the_twin(backward, x, indices, input_size=values.shape)


@pytest.mark.thorough
@checked
@given(layers(), st.booleans(), st.sampled_from(["float32", "float16", "float64", "complex64"]), st.integers(0, 2**16))
def test_transposed_convolutions_and_their_gradients(layer, last, dtype, seed):
    rank, shape, weight_shape, biased, options = layer
    x, weight = sample(shape, dtype, seed), sample(weight_shape, dtype, seed + 1)
    bias = (sample((weight_shape[1] * options["groups"],), dtype, seed + 2),) if biased else ()
    if last:
        x = np.moveaxis(x, 1, -1)
    options |= {"data_format": "channels_last" if last else "channels_first", "deterministic": True}
    operator = getattr(gu, f"conv_transpose{rank}d")
    try:
        grad = operator(x, weight, *bias, **options)
    except ValueError:  # nothing is left of the output
        return
    assert_same_on_the_twin(operator, x, weight, *bias, **options)
    assert_same_on_the_twin(getattr(gu, f"conv_transpose{rank}d_backward"), grad, x, weight, **options)
