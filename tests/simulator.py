"""Runs CUDA kernels in Numba's simulator: a third machine, of plain Python functions on the simulator's threads.

A script of its own, because the simulator replaces `numba.cuda` for a whole process:
    NUMBA_ENABLE_CUDASIM=1 python -m tests.simulator
"""

from __future__ import annotations

from threading import Lock, current_thread
from types import SimpleNamespace

import numba.cuda
import numpy as np

import gpu_upsample as gu
from gpu_upsample.arithmetic import SCALARS
from gpu_upsample.cuda.filter_spec import FilterSpec
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.registry import KERNELS
from tests import twin_memory


def _fma(a, b, c):
    # Exact wherever the float64 product and sum are: the samples below are small multiples of 1/64.
    return type(c)(float(a) * float(b) + float(c))


def _add_product(kind, a, b, c):
    return _fma(a, b, c) if SCALARS[kind].fused else type(c)(type(c)(a * b) + c)


def _widen(kind, value):
    return np.dtype(SCALARS[kind].accumulator).type(value)


def _narrow(kind, value):
    carrier = np.dtype(SCALARS[kind].carrier)
    if carrier.kind == "f":
        return carrier.type(value)
    if isinstance(value, np.integer):
        value = int(value) >> SCALARS[kind].fraction
    return carrier.type(np.clip(np.rint(value), np.iinfo(carrier).min, np.iinfo(carrier).max))


def _wrapped(like, number):
    return type(like)(number % 2 ** (8 * like.itemsize))


def _load_lanes(array, index, lanes, count):
    lanes[:count] = array[int(index) : int(index) + count]


def _store_lanes(array, index, lanes, count):
    array[int(index) : int(index) + count] = lanes[:count]


def _store_bytes(array, index, sums, count):
    array[int(index) : int(index) + count] = np.clip(np.rint(sums[:count]), 0, 255)


_alone = Lock()  # the simulator runs a kernel's threads as threads


def _atomic_max(array, index, value):
    with _alone:
        array[int(index)] = max(array[int(index)], value)


SIMULATOR = SimpleNamespace(
    fma=_fma,
    add_product=_add_product,
    widen=_widen,
    narrow=_narrow,
    plus=lambda a, b: _wrapped(a, int(a) + int(b)),
    mad=lambda a, b, c: _wrapped(a, int(a) * int(b) + int(c)),
    quotient=lambda a, b: type(a)(int(a) // int(b)),
    block=lambda: np.uint32(current_thread().blockIdx.x),
    thread=lambda: np.uint32(current_thread().threadIdx.x),
    memory=SimpleNamespace(local=SimpleNamespace(array=lambda shape, dtype: np.empty(shape, str(dtype)))),
    inline=lambda function: function,
    load=lambda array, index: array[int(index)],
    load_near=lambda array, index, offset: array[int(index) + int(offset)],
    load_lanes=_load_lanes,
    store_lanes=_store_lanes,
    store_bytes=_store_bytes,
    atomic_max=_atomic_max,
)


def run(spec, device, stream, blocks, arguments):
    """Run a kernel as `launch.launch` would, in the simulator."""
    twin_memory.launched.append(spec)
    builder, signature = KERNELS[type(spec)]
    kernel = numba.cuda.jit(builder(SIMULATOR, spec))
    kernel[blocks, THREADS](*twin_memory.typed_arguments(signature(spec), arguments))


def main():
    x = (np.arange(7 * 40) % 23 / 4).reshape(7, 40).astype(np.float32)
    words = (x * 40).astype(np.uint8)
    weight = (np.arange(24) % 7 / 4).reshape(4, 1, 2, 3).astype(np.float32)
    planes = x.reshape(4, 7, 10)
    pooled = gu.max_pool2d(x[None], 3, 2, 1, return_indices=True)
    calls = [
        (gu.resize, (x,), {"size": (14, 80), "axes": (0, 1)}),
        (gu.resize, (x,), {"size": 3, "axes": 0, "method": "box", "antialias": True}),
        (gu.resize, (x,), {"size": 80, "axes": 1}),
        (gu.resize, (x,), {"size": (9, 55), "axes": (0, 1)}),
        (gu.resize, (x,), {"size": 5, "axes": 1, "method": "cubic", "antialias": True}),
        (gu.resize, (x.reshape(1, 280),), {"size": 70, "axes": 1, "method": "cubic", "antialias": True}),
        (gu.resize, (planes,), {"size": (8, 14, 20)}),
        (gu.resize, (words,), {"size": (14, 20), "axes": (0, 1), "method": "nearest"}),
        (gu.resize, (words,), {"size": 14, "axes": 0, "method": "linear"}),
        (gu.max_pool2d, (x[None],), {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
        (gu.max_unpool2d, pooled, {"kernel_size": 3, "stride": 2, "padding": 1, "output_size": (7, 40)}),
        (gu.max_unpool2d, (x[None, :2, :8], np.arange(16).reshape(1, 2, 8) * 4 + 1), {"kernel_size": (1, 4)}),
        (gu.conv_transpose2d, (planes, weight), {"stride": 2, "groups": 4}),
        (gu.pixel_shuffle, (planes,), {"upscale_factor": 2}),
        (gu.unfold, (planes,), {"kernel_size": 3, "padding": 1}),
        (gu.fold, (gu.unfold(planes, 3, padding=1),), {"output_size": (7, 10), "kernel_size": 3, "padding": 1}),
    ]
    for operator, arrays, options in calls:
        expected = operator(*arrays, **options)
        with twin_memory.installed(run):
            got = operator(*map(twin_memory.to_twin, arrays), **options)
        pairs = zip(got, expected, strict=True) if isinstance(expected, tuple) else [(got, expected)]
        for actual, wanted in pairs:
            np.testing.assert_array_equal(np.asarray(actual), wanted)
    filters = [spec for spec in twin_memory.launched if isinstance(spec, FilterSpec)]
    assert {"span", "apart", "walk", "none"} <= {spec.columns for spec in filters}
    assert any(spec.pieces > 1 for spec in filters)
    assert any(spec.lines for spec in filters)
    assert max(spec.width for spec in filters if spec.columns == "span") > 8
    print(f"{len(calls)} calls ran in the simulator")


if __name__ == "__main__":
    main()
