"""The accesses to memory that the CUDA kernels are written in, compiled for the host."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from numba import cfunc, types
from numba.extending import intrinsic

from gpu_upsample.cuda.filter_spec import FilterSpec
from gpu_upsample.cuda.machine import build_accesses
from tests import machine_code

ACCESSES = build_accesses(intrinsic)
load, load_near, load_lanes, store_lanes = (
    ACCESSES.load, ACCESSES.load_near, ACCESSES.load_lanes, ACCESSES.store_lanes,
)  # fmt: skip


def copier(dtype, count):
    """Return a function that copies `count` neighbours, compiled from the device's accesses."""
    scalar = getattr(types, dtype)

    @cfunc(types.void(types.CPointer(scalar), types.CPointer(scalar), types.uint32))
    def copy(x, y, first):
        lanes = np.empty(count, scalar)
        load_lanes(x, first, lanes, count)
        for lane in range(count):  # lanes and single scalars must agree
            if lanes[lane] != load(x, types.uint32(first + lane)) or lanes[lane] != load_near(x, first, lane):
                lanes[lane] = scalar(0)
        store_lanes(y, first, lanes, count)

    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)(copy.address), copy


@pytest.mark.parametrize(
    ("dtype", "count"),
    [
        *(("uint8", count) for count in (2, 3, 12, 16)),
        *(("uint16", count) for count in (2, 6, 8)),
        *(("float32", count) for count in (4, 8)),
        *(("float64", count) for count in (2, 3)),
    ],
)
def test_lanes_are_in_order(dtype, count):
    copy, _kept = copier(dtype, count)
    x = (np.arange(3 * count) % 250 + 1).astype(dtype)
    y = np.zeros_like(x)
    copy(x.ctypes.data, y.ctypes.data, count)
    expected = np.zeros_like(x)
    expected[count : 2 * count] = x[count : 2 * count]
    np.testing.assert_array_equal(y, expected)


def test_bytes_are_packed_in_order():
    spec = FilterSpec("uint8", "uint8", "ring", 2, "none", 0, 0, 0, 0, 0, 0, 4, False, False)
    ptx = machine_code.ptx(spec)
    # d = cvt.pack(a, b, c): b in the lowest byte, a above it, the lower half of c on top.
    packed = re.findall(r"cvt\.pack\.sat\.u8\.s32\.b32 (%r\d+), (%r\d+), (%r\d+), (%r\d+|0);", ptx)
    rounded = re.findall(r"cvt\.rni\.s32\.f32 (%r\d+), ", ptx)
    assert len(packed) % 2 == 0
    for (high, fourth, third, _), (_, second, first, above) in zip(packed[::2], packed[1::2], strict=True):
        lanes = [rounded.index(lane) for lane in (first, second, third, fourth)]
        assert lanes == list(range(lanes[0], lanes[0] + 4))
        assert above == high
