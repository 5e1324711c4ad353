"""float16 without an instruction for it: the same bits, on processors that have none."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from gpu_upsample.arithmetic import half
from tests.tolerances import assert_same_bits

HALVES = np.arange(1 << 16, dtype=np.uint16)

with np.errstate(invalid="ignore"):  # some processors tell of signalling NaNs
    WIDENED = HALVES.view(np.float16).astype(np.float32)


def vectorized(emit: Any, source: Any, result: Any) -> Any:
    """Return a conversion of scalars as a function of arrays."""

    @intrinsic
    def converted(typingctx: Any, value: Any) -> Any:
        return result(source), lambda context, builder, signature, args: emit(builder, args[0])

    @njit
    def all_of(x: Any, out: Any) -> None:
        for i in range(len(x)):
            out[i] = converted(x[i])

    return all_of


def test_every_half_is_widened() -> None:
    out = np.empty(len(HALVES), np.float32)
    vectorized(half.widened, types.uint16, types.float32)(HALVES, out)
    expected = WIDENED.view(np.uint32).copy()
    expected[np.isnan(HALVES.view(np.float16))] |= 1 << 22  # as an instruction does, which NumPy need not use
    assert_same_bits(out.view(np.uint32), expected)


def test_floats_are_narrowed_to_the_nearest_half() -> None:
    finite = HALVES[(HALVES & 0x7FFF) < 0x7C00].view(np.float16).astype(np.float64)
    between = np.convolve(np.sort(finite), [0.5, 0.5])[1:-1].astype(np.float32)  # halfway between neighbours, exactly
    random = np.random.default_rng(0).integers(0, 1 << 32, 1 << 20, np.uint32).view(np.float32)
    limits = np.array([65504, 65519.996, 65520, 65536, np.inf, 2.0**-24, 2.0**-25, 2.0**-26, 1e-45, 0], np.float32)
    near = [np.nextafter(between, np.float32(end)) for end in (-np.inf, np.inf)]
    x = np.concatenate([WIDENED, between, *near, random, limits, -limits])
    out = np.empty(len(x), np.uint16)
    vectorized(half.narrowed, types.float32, types.uint16)(x, out)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        expected = x.astype(np.float16).view(np.uint16)
    bits, is_nan = x.view(np.uint32), np.isnan(x)
    expected[is_nan] = bits[is_nan] >> 16 & 0x8000 | 0x7E00 | bits[is_nan] >> 13 & 0x3FF  # as an instruction does
    assert_same_bits(out, expected)


def test_a_gpu_converts_by_instructions() -> None:
    assert half.is_native("nvptx64-nvidia-cuda")


CALL = """
import sys
import numpy as np
import gpu_upsample as gu
from gpu_upsample.arithmetic import half
from llvmlite.binding import get_default_triple

x = np.load(sys.argv[1])
np.save(sys.argv[2], gu.resize(x, (9, 40), method="cubic"))
print(half.is_native(get_default_triple()))
"""


def test_a_generic_processor_gives_the_same_bits(tmp_path: Any) -> None:
    import gpu_upsample as gu

    x = np.random.default_rng(0).normal(0, 100, (5, 33)).astype(np.float16)
    x[0, 0], x[1, 1], x[2, 2] = 6e-8, np.inf, 65504
    np.save(tmp_path / "x.npy", x)
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path / "disk")}
    command = [sys.executable, "-c", CALL, str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(platform.machine().lower() in ("aarch64", "arm64"))
    assert_same_bits(np.load(tmp_path / "y.npy"), gu.resize(x, (9, 40), method="cubic"))
