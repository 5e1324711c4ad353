"""The CUDA routes of the transposed convolution, on the host twin and on a device, and the kernel's machine code."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import noise

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from gpu_upsample.cuda.conv_kernels import ConvTransposeSpec
from gpu_upsample.plan.dtypes import scalars
from tests import machine_code, twin, twin_memory
from tests.devices import Twin
from tests.test_conv_transpose import OPERATORS, assert_close
from tests.tolerances import assert_same_bits

LAYERS = {
    "1d": ((2, 3, 9), (3, 2, 4), {"stride": 2, "padding": 1}),
    "2d": ((2, 4, 5, 7), (4, 3, 3, 2), {"stride": (2, 3), "output_padding": (1, 0), "groups": 2}),
    "dilated": ((1, 2, 5, 7), (2, 3, 3, 2), {"stride": (2, 1), "dilation": (3, 2), "padding": (2, 1)}),
    "3d": ((1, 2, 3, 4, 5), (2, 3, 2, 3, 2), {"stride": 2, "padding": (0, 1, 0)}),
    "depthwise": ((1, 5, 6, 7), (5, 1, 4, 4), {"stride": 2, "padding": 1, "groups": 5}),
}
DTYPES = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


def both(device, shape, weight_shape, options, dtype, **more):
    x, weight = noise(shape, dtype), noise(weight_shape, dtype, 1)
    bias = noise((weight_shape[1] * options.get("groups", 1),), dtype, 2)
    if more.get("data_format") == "channels_last":
        x = np.moveaxis(x, 1, -1)
    operator = OPERATORS[len(shape) - 2]
    expected = operator(x, weight, bias, **options, **more)
    return device(operator, x, weight, bias, **options, **more), expected


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers(device, layer, data_format):
    assert_same_bits(*both(device, *LAYERS[layer], "float32", deterministic=True, data_format=data_format))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(device, dtype):
    assert_same_bits(*both(device, *LAYERS["2d"], dtype, deterministic=True))


@pytest.mark.parametrize("biased", [False, True])
def test_no_sum_is_minus_zero(device, biased):
    arrays = np.full((1, 2, 3, 4), -0.0), np.ones((2, 3, 3, 3)), np.full(3, -0.0)
    got = device(OPERATORS[2], *arrays[: 2 + biased], stride=2, dilation=2, deterministic=True)
    assert_same_bits(got, np.zeros_like(got))


def accumulated_bytes(dtype):
    """Return the bytes of an element of a matrix product."""
    storage, parts = scalars(dtype)
    return np.dtype(storage.accumulator).itemsize * parts


@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_matrix_product(device, dtype, data_format, images, monkeypatch):
    """Of so many of three images at once."""
    column_bytes = images * 3 * 9 * 20 * accumulated_bytes(dtype)  # channels, taps and windows
    monkeypatch.setattr("gpu_upsample.cuda.conv_transpose.COLUMN_BYTES", column_bytes)
    options = {"stride": 2, "padding": 1, "groups": 2}
    got, expected = both(device, (3, 80, 4, 5), (80, 3, 3, 3), options, dtype, data_format=data_format)
    wide = np.complex128 if "complex" in dtype else np.float64
    last_place = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float64": 1e-14, "complex128": 1e-14}
    assert_close(got.astype(wide), expected.astype(wide), last_place.get(dtype, 1e-6))


def test_without_cublas_the_sums_are_formed_directly(monkeypatch):
    monkeypatch.setattr("gpu_upsample.cuda.conv_transpose.has_matrix_product", lambda: False)
    twin.launched.clear()
    both(Twin(), (1, 80, 4, 5), (80, 3, 3, 3), {"stride": 2}, "float32")
    assert [type(spec) for spec in twin.launched] == [ConvTransposeSpec]


def test_in_a_cuda_graph_the_sums_are_formed_directly(monkeypatch):
    monkeypatch.setattr(twin_memory._STREAM, "is_capturing", lambda: True)
    twin.launched.clear()
    both(Twin(), (1, 80, 4, 5), (80, 3, 3, 3), {"stride": 2}, "float32")
    assert [type(spec) for spec in twin.launched] == [ConvTransposeSpec]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_machine_code(dtype, wide):
    scalar, parts = {"complex64": ("float32", 2), "complex128": ("float64", 2)}.get(dtype, (dtype, 1))
    spec = ConvTransposeSpec(scalar, parts, True, False, wide)
    ptx = machine_code.ptx(spec)
    assert not any(word in ptx for word in (".local", "call", "atom.", "red."))
    assert ".f64\t" not in ptx or scalar == "float64"
    used = machine_code.resources(spec)
    assert used["REG"] <= (80 if wide else 64)  # the compiler's routine for 64-bit division needs some
    assert used["STACK"] == used["LOCAL"] == 0
