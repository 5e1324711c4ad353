"""Three axes in one step on the GPU: the CPU backend's bits, and when two steps are run as one."""

from __future__ import annotations

import numpy as np
import pytest

import gpu_upsample as gu

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from gpu_upsample.cuda import grid, volumes
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.volumes import VolumeStep, joined, repeated
from gpu_upsample.plan.resample import plan_interpolate, plan_resize
from gpu_upsample.plan.steps import Plan
from tests import twin
from tests.cases import seldom
from tests.devices import Twin
from tests.test_twin import DEFAULTS, assert_equals_cpu, sample

PLANES, SMALL, LONG = (1, 2, 3), (2, 4, 5, 12), (2, 4, 5, 200)
CALLS = {
    "narrow": (SMALL, {"scale": (2, 2, 2), "axes": PLANES}),
    "long": (LONG, {"scale": (2, 2, 2), "axes": PLANES}),
    "cubic columns": (LONG, {"scale": (2, 2, 2), "axes": PLANES, "method": ("cubic", "linear", "cubic")}),
    "cubic lines": (LONG, {"scale": (2, 2, 2), "axes": PLANES, "method": ("linear", "cubic", "linear")}),
    "mixed": (LONG, {"size": (7, 4, 272), "axes": PLANES, "method": ("cubic", "linear", "linear")}),
    "halves": ((1, 8, 10, 400), {"size": (4, 5, 200), "axes": PLANES, "antialias": True}),
    "odd": ((2, 4, 5, 37), {"size": (5, 9, 71), "axes": PLANES}),
    "three channels": ((4, 5, 40, 3), {"scale": (2, 2, 2), "axes": (0, 1, 2)}),
    "channels last": ((4, 5, 6, 16), {"scale": (2, 2, 2), "axes": (0, 1, 2)}),
    "constant around": (LONG, {"size": (9, 11, 401), "axes": PLANES, "border": "constant", "fill_value": np.nan}),
    "a box": (SMALL, {"size": (9, 9, 9), "axes": PLANES, "border": "extrapolate", "box": ((-1, 3), (1, 7.5), (0, 9))}),
}


@pytest.mark.parametrize("name", CALLS)
def test_bits(device, name):
    shape, options = CALLS[name]
    twin.launched.clear()
    assert_equals_cpu(device, gu.resize, sample(shape, "float32"), **options)
    if isinstance(device, Twin):
        (spec,) = twin.launched
        assert spec.lines > 0


DTYPES = ["bool", "uint8", "int16", "int32", "float16", "bfloat16", "float64", "complex64"]


@pytest.mark.parametrize("dtype", seldom(DTYPES, {"uint8", "int32", "bfloat16", "complex64"}))
def test_dtypes(device, dtype):
    twin.launched.clear()
    x = sample((4, 5, 64), dtype)
    assert_equals_cpu(device, gu.resize, x, scale=(2, 2, 2), method=("cubic", "linear", "linear"))
    joined_in_one = x.dtype.itemsize > 1
    assert not isinstance(device, Twin) or any(spec.lines for spec in twin.launched) == joined_in_one


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("columns", [24, 400])
def test_gradients(device, dtype, columns):
    grad = sample((1, 2, 8, 10, columns), dtype)
    size = (1, 2, 4, 5, columns // 2)
    assert_equals_cpu(device, gu.interpolate_backward, grad, input_size=size, size=grad.shape[2:], mode="trilinear")


@pytest.mark.parametrize("size", [(140, 5, 64), (19, 5, 64)])
def test_strips_of_many_rows(device, monkeypatch, size):
    monkeypatch.setattr(grid, "_BUSY", 1e-3)  # else a strip of so small an array is one row
    x = sample((70, 4, 60), "float32")
    assert_equals_cpu(device, gu.resize, x, size=size, axes=(0, 1, 2), antialias=True)


LARGE = [
    pytest.param(2**15 + 2**5, (4, 32, 256), (3, 64, 512), False, id="a result beyond 2**31"),
    pytest.param(2**16 + 2**5, (4, 32, 256), (3, 64, 512), True, id="a result beyond 2**32"),
    pytest.param(2**14 + 2**4, (16, 64, 256), (8, 32, 128), True, id="an input beyond 2**32"),
]


@pytest.mark.parametrize(("planes", "shape", "size", "wide"), LARGE)
def test_flat_indices_beyond_32_bits(monkeypatch, planes, shape, size, wide):
    monkeypatch.setattr(volumes, "_SCALAR_BYTES", 1)
    # Untouched memory is never backed by pages, so an array of gigabytes costs little.
    x = np.zeros((planes, *shape), np.uint8).view(twin.TwinArray)
    tail = sample((1, *shape), "uint8")
    np.asarray(x)[-1:] = tail
    seen = []

    def last_blocks(spec, device, stream, blocks, arguments):
        seen.append(spec)
        threads, strips, inside, lines = (arguments[place] for place in (3, 4, 14, 17))
        ends = threads - inside if spec.columns == "span" else 0
        of_plane, of_all = strips * lines, planes * strips * lines
        first = range((of_all - of_plane) * ends // THREADS, of_all * ends // THREADS + 1)
        last = range(blocks - of_plane * (threads - ends) // THREADS - 1, blocks)
        return twin.run(spec, device, stream, blocks, arguments, only=sorted({*first, *last}))

    options = {"size": size, "axes": PLANES, "method": "linear"}
    with twin.installed(last_blocks):
        got = gu.resize(x, **options)
    assert [(spec.lines, spec.wide) for spec in seen] == [(2, wide)]
    np.testing.assert_array_equal(np.asarray(got[-1:]), gu.resize(tail, **options))


# ---- which steps are joined ---------------------------------------------------------------------------------
def interpolated(mode, n_in, n_out, dtype="float32", antialias=False):
    shape, size = (1, 2, *n_in), (*n_out,)
    return plan_interpolate(shape, dtype, size, None, mode, None, None, antialias, "channels_first").steps


VOLUMES = {
    "trilinear": interpolated("trilinear", (8, 8, 8), (16, 16, 16)),
    "halves": interpolated("trilinear", (8, 8, 8), (16, 16, 16), "float16"),
    "half": interpolated("trilinear", (8, 16, 16), (4, 8, 8), antialias=True),
}


def resized(shape, size, axes=None, method="linear", antialias=False, box=None, dtype="float32"):
    options = (antialias, *DEFAULTS[1:-1], box)
    return plan_resize(shape, dtype, 0, "clamp", size, None, axes, method, *options).steps


APART = {
    "long windows": interpolated("trilinear", (32, 64, 64), (64, 8, 128), antialias=True),
    "many taps": interpolated("lanczos", (8, 8, 8), (16, 16, 16)),
    "tricubic": interpolated("tricubic", (8, 8, 8), (16, 16, 16)),
    "bytes": interpolated("trilinear", (8, 8, 8), (16, 16, 16), "uint8"),
    "four axes": resized((4, 4, 4, 4), (8, 8, 8, 8)),
    "lines as they are": resized((2, 4, 5, 40), (8, 80), (1, 3)),
    "many products": resized((2600, 64), (50, 60), antialias=True),
    "a box far outside": resized((64, 64, 64), (100, 128, 128), box=((-400, 464), (0, 64), (0, 64)), antialias=True),
    "float64 cubic": resized((8, 8, 8), (16, 16, 16), method="cubic", dtype="float64"),
    "an axis between": resized((4, 3, 4, 4), (8, 8, 8), (0, 2, 3)),
    "selection": resized((4, 4, 4), (8, 8, 8), None, ("nearest", "linear", "linear")),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_joined(name):
    (step,) = joined(Plan((), VOLUMES[name]))
    assert type(step) is VolumeStep
    assert np.prod(step.shape_out) == np.prod(VOLUMES[name][-1].shape_out)


@pytest.mark.parametrize("name", APART)
def test_not_joined(name):
    assert joined(Plan((), APART[name])) == APART[name]
    assert len(APART[name]) == 2


def test_what_a_volume_computes_again():
    # A sum along 2 samples for each of 2 lines, instead of for each of half as many lines as there are below.
    for name, expected in (("trilinear", 2 * (2 - 0.5)), ("tricubic", 4 * (4 - 0.5)), ("half", 4 * (4 - 2))):
        first, _ = (VOLUMES | APART)[name]
        assert repeated(first.columns, first.rows) == expected
