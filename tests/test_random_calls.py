"""Calls that nobody thought of: `resize` and its gradient by CUDA kernels give the CPU backend's bits."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpu_upsample as gu

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from tests.devices import PTX, Twin
from tests.references import BORDERS
from tests.test_twin import assert_equals_cpu, sample

METHODS = ["nearest", "linear", "cubic", "lanczos2", "lanczos3", "area", "box", "hamming", "mitchell", "spline3"]
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
        "border": tuple(draw(st.sampled_from(list(BORDERS))) for _ in axes),
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


def elsewhere(test):
    """Run a test on whatever runs CUDA kernels without a device."""
    devices = pytest.mark.parametrize("device", [Twin(), PTX()], ids=lambda device: device.name)
    return pytest.mark.thorough(devices(test))


@elsewhere
@checked
@given(calls(), st.sampled_from(DTYPES), st.integers(0, 2**16))
def test_resize(device, call, dtype, seed):
    shape, options = call
    fill = {"fill_value": 3 if dtype != "complex64" else 0} if options["border"] == "constant" else {}
    assert_equals_cpu(device, gu.resize, sample(shape, dtype, seed), **options, **fill)


@elsewhere
@checked
@given(calls(), st.sampled_from(["float32", "float16", "float64"]), st.integers(0, 2**16))
def test_gradient(device, call, dtype, seed):
    shape, options = call
    resized = dict(zip(options["axes"], options["size"], strict=True))
    grad = sample(tuple(resized.get(axis, n) for axis, n in enumerate(shape)), dtype, seed)
    assert_equals_cpu(device, gu.resize_backward, grad, input_size=shape, **options)
