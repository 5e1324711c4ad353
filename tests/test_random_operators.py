"""Calls of the other operators that nobody thought of: CUDA kernels give the CPU backend's bits, too."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import gpu_upsample as gu

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
pytest.importorskip("torch", reason="the files that draw these calls compare with it")
from tests.test_conv_transpose import calls as layers
from tests.test_pooling import POOL, geometries
from tests.test_random_calls import DTYPES, checked, elsewhere
from tests.test_rearrange import LEADING, factors, windows
from tests.test_twin import bits, sample


def assert_same_elsewhere(device, operator, *arrays, **options):
    expected = operator(*arrays, backend="cpu", **options)
    got = device(operator, *arrays, **options)
    both = zip(*(found if isinstance(found, tuple) else (found,) for found in (got, expected)), strict=True)
    for there, here in both:
        assert (there.shape, there.dtype) == (here.shape, here.dtype)
        np.testing.assert_array_equal(bits(there), bits(here))


@elsewhere
@checked
@given(factors(), st.sampled_from([(), (2,), (3, 1)]), st.sampled_from(DTYPES), st.integers(0, 2**16))
def test_shuffles(device, drawn, leading, dtype, seed):
    n, factor = drawn
    x = sample((*leading, 2 * prod(factor), *n), dtype, seed)
    assert_same_elsewhere(device, gu.pixel_shuffle, x, upscale_factor=factor)
    large = gu.pixel_shuffle(x, factor)
    assert_same_elsewhere(device, gu.pixel_unshuffle, large, downscale_factor=factor)


@elsewhere
@checked
@given(windows(), LEADING, st.sampled_from(["float32", "float16", "float64", "complex64"]), st.integers(0, 2**16))
def test_unfold_and_fold(device, drawn, leading, dtype, seed):
    n, geometry = drawn
    x = sample((*leading, *n), dtype, seed)
    assert_same_elsewhere(device, gu.unfold, x, **geometry)
    assert_same_elsewhere(device, gu.fold, gu.unfold(x, **geometry), output_size=n, **geometry)


@elsewhere
@checked
@given(geometries(), st.sampled_from(DTYPES[:-1]), st.sampled_from(["int64", "int32"]), st.integers(0, 2**16))
def test_pooling_and_its_gradients(device, geometry, dtype, kind, seed):
    rank, shape, kernel, stride, padding, dilation, ceil_mode = geometry
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    options = dict(zip(names, (kernel, stride, padding, dilation, ceil_mode), strict=True))
    x, operator = sample(shape, dtype, seed), POOL[rank]
    assert_same_elsewhere(device, operator, x, return_indices=True, **options)
    values, indices = operator(x, return_indices=True, **options)
    indices = indices.astype(kind)
    size, counts = shape[-rank:], values.shape[-rank:]
    usual = [(m - 1) * step + taps for m, step, taps in zip(counts, stride, kernel, strict=True)]
    if all(abs(n - m) < step for n, m, step in zip(size, usual, stride, strict=True)):
        windows_of = {"kernel_size": kernel, "stride": stride, "output_size": size}
        assert_same_elsewhere(device, getattr(gu, f"max_unpool{rank}d"), values, indices, **windows_of)
    if "float" in dtype:
        backward = getattr(gu, f"max_pool{rank}d_backward")
        assert_same_elsewhere(device, backward, values, indices, input_size=shape, **options)
        backward = getattr(gu, f"max_unpool{rank}d_backward")
        assert_same_elsewhere(device, backward, x, indices, input_size=values.shape)


@elsewhere
@checked
@given(layers(), st.booleans(), st.sampled_from(["float32", "float16", "float64", "complex64"]), st.integers(0, 2**16))
def test_transposed_convolutions_and_their_gradients(device, layer, last, dtype, seed):
    rank, shape, weight_shape, biased, options = layer
    names = ("stride", "padding", "dilation", "output_padding")
    axes = zip(shape[2:], weight_shape[2:], *(options[name] for name in names), strict=True)
    assume(all((n - 1) * s - 2 * p + d * (k - 1) + extra >= 0 for n, k, s, p, d, extra in axes))  # else nothing is left
    x, weight = sample(shape, dtype, seed), sample(weight_shape, dtype, seed + 1)
    bias = (sample((weight_shape[1] * options["groups"],), dtype, seed + 2),) if biased else ()
    if last:
        x = np.moveaxis(x, 1, -1)
    options |= {"data_format": "channels_last" if last else "channels_first", "deterministic": True}
    operator = getattr(gu, f"conv_transpose{rank}d")
    grad = operator(x, weight, *bias, **options)
    assert_same_elsewhere(device, operator, x, weight, *bias, **options)
    assert_same_elsewhere(device, getattr(gu, f"conv_transpose{rank}d_backward"), grad, x, weight, **options)
