"""The kernels as PTX give the CPU backend's bits; and the interpreter of it refuses what a device would not forgive."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample.compat import pillow

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from gpu_upsample.cuda.registry import KERNELS
from tests import ptx, twin_memory
from tests.cases import noise
from tests.devices import PTX
from tests.tolerances import assert_same_bits

IMAGE, WEIGHT = noise((1, 4, 6, 40), "float32"), noise((4, 3, 3, 3), "float32")
GRADIENT = noise((1, 3, 11, 79), "float32")
SOME, INDICES = gu.max_pool2d(IMAGE, 2, return_indices=True)
OTHERS = gu.max_pool2d(IMAGE, 3, 2, 1, return_indices=True)
BYTES, HALVES = (IMAGE * 99).astype(np.uint8), IMAGE.astype(np.float16)
LAYER = {"stride": 2, "padding": 1, "deterministic": True}
CALLS = {
    "bilinear": ("Filter", gu.interpolate, (IMAGE,), {"size": (12, 80), "mode": "bilinear"}),
    "bilinear of bytes": ("Filter", gu.interpolate, (BYTES,), {"size": (12, 80), "mode": "bilinear"}),
    "bicubic of halves": ("Filter", gu.interpolate, (HALVES,), {"size": (9, 55), "mode": "bicubic"}),
    "nearest": ("Select", gu.interpolate, (IMAGE,), {"size": (12, 80)}),
    "nearest of bytes": ("Select", gu.interpolate, (BYTES,), {"size": (12, 80)}),
    "lanczos": ("Filter", gu.interpolate, (IMAGE,), {"size": (4, 9), "mode": "lanczos", "antialias": True}),
    "products rounded": ("Filter", pillow.resize, (IMAGE[0, 0], (90, 13)), {}),
    "volume": ("Filter", gu.interpolate, (IMAGE[None],), {"size": (8, 12, 80), "mode": "trilinear"}),
    "gradient": ("Filter", gu.interpolate_backward, (IMAGE, (1, 4, 3, 20), (6, 40)), {"mode": "bilinear"}),
    "max_pool2d": ("Pool", gu.max_pool2d, (IMAGE, 3, 2, 1), {"return_indices": True}),
    "max_unpool2d": ("Fill Place Vote", gu.max_unpool2d, (SOME, INDICES, 2), {}),
    "max_unpool2d, apart": ("Fetch Vote", gu.max_unpool2d, (*OTHERS, 3, 2, 1), {"output_size": (6, 40)}),
    "max_pool2d_backward": ("PoolBackward Windows", gu.max_pool2d_backward, (SOME, INDICES, IMAGE.shape, 2), {}),
    "max_unpool2d_backward": ("UnpoolBackward Vote", gu.max_unpool2d_backward, (IMAGE, INDICES, SOME.shape), {}),
    "complex gradient": (
        "ConvTranspose Reduction", gu.conv_transpose2d_backward,
        tuple(x.astype(np.complex64) for x in (GRADIENT, IMAGE, WEIGHT)), LAYER,
    ),
    "conv_transpose2d": ("ConvTranspose", gu.conv_transpose2d, (IMAGE, WEIGHT), LAYER),
    "conv_transpose2d_backward": (
        "ConvTranspose Reduction", gu.conv_transpose2d_backward, (GRADIENT, IMAGE, WEIGHT), LAYER,
    ),
    "pixel_shuffle": ("Shuffle", gu.pixel_shuffle, (IMAGE, 2), {}),
    "unfold": ("Unfold", gu.unfold, (IMAGE, 3), {"padding": 1}),
    "fold": ("Fold", gu.fold, (gu.unfold(IMAGE, 3, padding=1), (6, 40), 3), {"padding": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_bits(name):
    kernels, operator, arguments, options = CALLS[name]
    arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]

    def called(*arrays, **more):
        return operator(*arrays, *arguments[len(arrays) :], **options, **more)

    twin_memory.launched.clear()
    got, expected = PTX()(called, *arrays), called(*arrays, backend="cpu")
    assert {type(spec).__name__ for spec in twin_memory.launched} == {f"{kernel}Spec" for kernel in kernels.split()}
    pairs = zip(got, expected, strict=True) if isinstance(expected, tuple) else [(got, expected)]
    for actual, wanted in pairs:
        assert_same_bits(actual, wanted)


def test_every_kernel_is_run():
    assert {f"{kernel}Spec" for kernels, *_ in CALLS.values() for kernel in kernels.split()} == {
        spec.__name__ for spec in KERNELS
    }


@pytest.mark.parametrize(("planes", "wide"), [(2**19 + 1, False), (2**20 + 1, True)])
def test_indices_of_many_bits(planes, wide):
    # Untouched memory is never backed by pages, so an array of gigabytes costs little.
    x = np.zeros((planes, 4096), np.uint8).view(twin_memory.TwinArray)
    x[-1] = tail = noise((4096,), "uint8")
    twin_memory.launched.clear()
    with twin_memory.installed(lambda *launch: ptx.run(*launch, only=range(launch[3] - 2, launch[3]))):
        got = gu.max_pool1d(x, 2)
    assert [spec.wide for spec in twin_memory.launched] == [wide]
    assert_same_bits(np.asarray(got)[-1, -800:], gu.max_pool1d(tail[None], 2)[0, -800:])


# ---- the interpreter ----------------------------------------------------------------------------------------
PROGRAM = """
.entry kernel(
	.param .u64 kernel_param_0,
	.param .u64 kernel_param_1
)
{{
	.reg .pred %p<9>;
	.reg .b16 %rs<9>;
	.reg .f32 %f<9>;
	.reg .b32 %r<9>;
	.reg .b64 %rd<9>;
	ld.param.u64 %rd1, [kernel_param_0];
	ld.param.u64 %rd2, [kernel_param_1];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd3, %r1, 4;
	add.s64 %rd1, %rd1, %rd3;
	add.s64 %rd2, %rd2, %rd3;
{}
	ret;
}}
"""


def run(body, x, size=ptx.THREADS):
    """Run a program for one block: %rd1 and %rd2 are the addresses of a thread's words of `x` and of the result."""
    x, out = np.ascontiguousarray(x), np.zeros(size, np.uint32)
    parameters = [np.array([array.ctypes.data], np.uint64).view(np.uint8) for array in (x, out)]
    memory = ptx.Memory([x, out])
    with np.errstate(all="ignore"):
        ptx.Threads(ptx.parsed(PROGRAM.format(body)), [0], parameters, memory).run()
    memory.check()
    return out


WORDS = np.arange(ptx.THREADS, dtype=np.uint32) * np.uint32(40503001)
REALS = np.linspace(-400, 400, ptx.THREADS, dtype=np.float32)
W, R = WORDS.tolist(), REALS.tolist()
LOAD, LOAD_REAL, STORE = "ld.global.nc.u32 %r2, [%rd1];", "ld.global.nc.f32 %f1, [%rd1];", "st.global.u32 [%rd2], %r3;"
INSTRUCTIONS = {
    "mul.hi.u32 %r3, %r2, -3;": (WORDS, [x * (2**32 - 3) >> 32 for x in W]),
    "mad.lo.s32 %r3, %r2, 5, -1;": (WORDS, [(5 * x - 1) % 2**32 for x in W]),
    "shr.s32 %r3, %r2, 40;": (WORDS, [(2**32 - 1) * (x >> 31) for x in W]),
    "shl.b32 %r3, %r2, 32;": (WORDS, [0 for _ in W]),
    "bfe.u32 %r3, %r2, 3, 7;": (WORDS, [x >> 3 & 127 for x in W]),
    "prmt.b32 %r3, %r2, 0, 0x4012;": (WORDS, [x >> 16 & 255 | x & 65280 | (x & 255) << 16 for x in W]),
    "mov.b32 {%rs1, %rs2}, %r2; mov.b32 %r3, {%rs2, %rs1};": (WORDS, [x >> 16 | x % 2**16 << 16 for x in W]),
    "setp.lt.s32 %p1, %r2, 0; selp.b32 %r3, 7, 9, %p1;": (WORDS, [7 if x >> 31 else 9 for x in W]),
    "cvt.rni.s32.f32 %r3, %f1;": (REALS, [round(x) % 2**32 for x in R]),
    "cvt.rni.s32.f32 %r2, %f1; cvt.pack.sat.u8.s32.b32 %r3, %r2, 300, 0x1234;": (
        REALS, [0x12340000 + min(max(round(x), 0), 255) * 256 + 255 for x in R],
    ),
    "fma.rn.f32 %f2, %f1, %f1, 0f3F800000; mov.b32 %r3, %f2;": (
        REALS, [np.float32(Fraction(x) ** 2 + 1).view(np.uint32) for x in R],
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", INSTRUCTIONS)
def test_instructions(body):
    x, expected = INSTRUCTIONS[body]
    lines = "\n".join(f"{line.strip()};" for line in body.split(";") if line.strip())
    assert run(f"{LOAD if x is WORDS else LOAD_REAL}\n{lines}\n{STORE}", x).tolist() == list(expected)


def test_threads_take_ways_of_their_own_and_meet_again():
    body = """
        mov.u32 %r3, 0;
        setp.eq.u32 %p1, %r1, 0;
        @%p1 bra $end;
$loop:
        add.s32 %r3, %r3, %r1;
        setp.lt.u32 %p2, %r3, 100;
        @%p2 bra $loop;
$end:
        add.s32 %r3, %r3, 1;
        st.global.u32 [%rd2], %r3;
    """
    assert run(body, WORDS).tolist() == [1, *(n * -(-100 // n) + 1 for n in range(1, ptx.THREADS))]


FORBIDDEN = {
    "two threads stored": (AssertionError, "and.b64 %rd2, %rd2, -8;\nst.global.u32 [%rd2], %r1;"),
    "outside of all arrays": (IndexError, "ld.global.nc.u32 %r2, [%rd1+4];"),
    "outside of all": (IndexError, "st.global.u32 [%rd2+512], %r1;"),
    "at no multiple": (ValueError, "ld.global.nc.v2.u32 {%r2, %r3}, [%rd1];"),
    "read as constant was written": (AssertionError, "ld.global.nc.u32 %r2, [%rd2];\nst.global.u32 [%rd2], %r2;"),
    "order of threads": (AssertionError, "atom.global.max.u32 %r2, [%rd2], %r1;\nadd.s32 %r3, %r2, 1;"),
    "rm": (NotImplementedError, "mul.rm.f32 %f1, %f1, %f1;"),
    "popc": (NotImplementedError, "popc.b32 %r2, %r1;"),
    "unknown text": (NotImplementedError, "unknown text"),
}


@pytest.mark.parametrize("says", FORBIDDEN)
def test_what_a_device_would_not_forgive(says):
    error, body = FORBIDDEN[says]
    with pytest.raises(error, match=says):
        run(body, WORDS)
