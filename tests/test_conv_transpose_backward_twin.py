"""The CUDA routes of the transposed convolution's gradients, on the host twin and on a device."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from gpu_upsample.cuda.conv_backward_kernels import ReductionSpec
from gpu_upsample.cuda.conv_kernels import ConvTransposeSpec
from tests import machine_code, twin
from tests.devices import Twin
from tests.test_conv_transpose_backward import BACKWARD, layer
from tests.test_conv_transpose_twin import accumulated_bytes
from tests.tolerances import assert_same_bits

LAYERS = {
    "1d": ((2, 3, 9), (3, 2, 4), {"stride": 2, "padding": 1}),
    "2d": ((2, 4, 5, 37), (4, 3, 3, 2), {"stride": (2, 3), "output_padding": (1, 0), "groups": 2}),
    "dilated": ((1, 2, 5, 7), (2, 3, 3, 2), {"stride": (2, 1), "dilation": (3, 2), "padding": (2, 1)}),
    "3d": ((1, 2, 3, 4, 5), (2, 3, 2, 3, 2), {"stride": 2, "padding": (0, 1, 0)}),
    "depthwise": ((1, 5, 6, 7), (5, 1, 4, 4), {"stride": 2, "padding": 1, "groups": 5}),
    "blocks": ((3, 2, 400, 5), (2, 1, 2, 1), {"groups": 2}),
    "long rows": ((2, 7, 2, 70), (7, 2, 1, 5), {"stride": (1, 2), "padding": (0, 2)}),
    "far apart": ((1, 3, 2, 40), (3, 2, 1, 3), {"stride": (1, 9)}),
}
DTYPES = ["float16", "bfloat16", "float32", "complex64", "complex128"]


def both(device, shape, weight_shape, options, dtype, **more):
    y, x, weight = layer(shape, weight_shape, dtype, **options)
    if more.get("data_format") == "channels_last":
        y, x = (np.moveaxis(a, 1, -1) for a in (y, x))

    def operator(*arrays, **options):
        gradients = BACKWARD[len(shape) - 2](*arrays, **options)
        return tuple(gradient for gradient in gradients if gradient is not None)

    expected = operator(y, x, weight, **options, **more)
    return device(operator, y, x, weight, **options, **more), expected


def assert_all_same_bits(actual, expected):
    for got, wanted in zip(actual, expected, strict=True):
        assert_same_bits(got, wanted)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(device, name, data_format):
    assert_all_same_bits(*both(device, *LAYERS[name], "float32", deterministic=True, data_format=data_format))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["1d", "long rows"])
def test_dtypes(device, name, dtype):
    # Unless it conjugates, the kernel of the gradient for x is that of the transposed convolution itself.
    more = {"needs": ("complex" in dtype, True, True)}
    assert_all_same_bits(*both(device, *LAYERS[name], dtype, deterministic=True, **more))


def test_some_results_at_a_time(monkeypatch):
    """Where the lanes of all results would take too much memory, they are formed for a few after another."""
    monkeypatch.setattr("gpu_upsample.cuda.conv_transpose_backward.COLUMN_BYTES", 37 * 4 * 7)
    twin.launched.clear()
    assert_all_same_bits(*both(Twin(), *LAYERS["2d"], "float32", deterministic=True))
    assert len(twin.launched) > 10


@pytest.mark.parametrize(
    ("dtype", "data_format"),
    [(dtype, "channels_first") for dtype in ("bfloat16", "float32", "complex128")] + [("float32", "channels_last")],
)
def test_the_matrix_product(device, dtype, data_format, monkeypatch):
    two_images = 2 * 5 * 9 * 20 * accumulated_bytes(dtype)  # of three: channels, taps and windows
    monkeypatch.setattr("gpu_upsample.cuda.conv_transpose_backward.COLUMN_BYTES", two_images)
    options = {"stride": 2, "padding": 1, "groups": 2}
    more = {"data_format": data_format, "needs": (True, True, False)}
    both_results = both(device, (3, 8, 4, 5), (8, 5, 3, 3), options, dtype, **more)
    wide = np.complex128 if "complex" in dtype else np.float64
    last_place = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float64": 1e-14, "complex128": 1e-14}
    for got, wanted in zip(*both_results, strict=True):
        got, wanted = got.astype(wide), wanted.astype(wide)
        assert np.abs(got - wanted).max() <= last_place.get(dtype, 1e-6) * np.abs(wanted).max()


def test_the_routes():
    def kinds(**more):
        twin.launched.clear()
        both(Twin(), (1, 8, 4, 5), (8, 5, 3, 3), {"stride": 2}, "float32", **more)
        return {type(spec) for spec in twin.launched}

    assert kinds(needs=(False, False, True)) == {ReductionSpec}
    assert ConvTransposeSpec not in kinds(needs=(True, True, False))
    assert kinds(deterministic=True) == {ConvTransposeSpec, ReductionSpec}


def test_without_cublas_the_sums_are_formed_directly(monkeypatch):
    monkeypatch.setattr("gpu_upsample.cuda.conv_transpose.has_matrix_product", lambda: False)
    twin.launched.clear()
    both(Twin(), (1, 8, 4, 5), (8, 5, 3, 3), {"stride": 2}, "float32")
    assert {type(spec) for spec in twin.launched} == {ConvTransposeSpec, ReductionSpec}


def test_an_empty_batch(device):
    assert_all_same_bits(*both(device, (0, 1, 9), (1, 4, 1), {}, "float32"))


@pytest.mark.parametrize("channels", [3, 300])
@pytest.mark.parametrize("deterministic", [True, False])
def test_no_channels_of_the_output(device, channels, deterministic):
    shapes = (2, 0, 7), (2, channels, 5), (channels, 0, 3)
    arrays = [np.ones(shape, np.float32) for shape in shapes]
    expected = [np.zeros(shape, np.float32) for shape in (*shapes[1:], (0,))]
    assert_all_same_bits(BACKWARD[1](*arrays, deterministic=deterministic), expected)
    assert_all_same_bits(device(BACKWARD[1], *arrays, deterministic=deterministic), expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "complex64", "complex128", "wide"])
def test_machine_code(dtype):
    wide = dtype == "wide"
    scalar, parts = {"complex64": ("float32", 2), "complex128": ("float64", 2), "wide": ("float64", 2)}.get(
        dtype, (dtype, 1)
    )
    accumulator = "float64" if scalar == "float64" else "float32"
    specs = [
        ReductionSpec(scalar, accumulator, parts, True, wide),
        ReductionSpec(accumulator, scalar, parts, False, wide),
        ConvTransposeSpec(scalar, 2, False, False, wide, True),
    ]
    for spec in specs[: parts + 1]:
        ptx = machine_code.ptx(spec)
        assert not any(word in ptx for word in (".local", "call", "atom.", "red."))
        assert ".f64\t" not in ptx or scalar == "float64"
        used = machine_code.resources(spec)
        assert used["REG"] <= (80 if wide else 64)  # the compiler's routine for 64-bit division needs some
        assert used["STACK"] == used["LOCAL"] == 0
