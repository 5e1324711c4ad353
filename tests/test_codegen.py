"""What the compiler makes of the CUDA kernels, checked without a GPU.

Every kernel x dtype is compiled for sm_90, samples for the other generations; PTX and SASS are held against the
budgets below. A change that breaks one fails here.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from importlib.metadata import version
from itertools import product

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
pytest.importorskip("nvidia.cu13", reason="reading machine code needs nvidia-cuda-cuobjdump")
from gpu_upsample.cuda.conv_backward_kernels import ReductionSpec
from gpu_upsample.cuda.conv_kernels import ConvTransposeSpec
from gpu_upsample.cuda.filter_choice import filter_spec, lane_counts
from gpu_upsample.cuda.filter_spec import FilterSpec
from gpu_upsample.cuda.kernels import THREADS, min_blocks_of
from gpu_upsample.cuda.pooling_backward_kernels import PoolBackwardSpec, UnpoolBackwardSpec, WindowsSpec
from gpu_upsample.cuda.pooling_kernels import PoolSpec
from gpu_upsample.cuda.rearrange_kernels import FoldSpec, ShuffleSpec, UnfoldSpec
from gpu_upsample.cuda.registry import KERNELS
from gpu_upsample.cuda.select_kernels import SelectSpec
from gpu_upsample.cuda.unpooling_kernels import FetchSpec, FillSpec, PlaceSpec, VoteSpec
from gpu_upsample.cuda.volumes import joined
from gpu_upsample.plan.dtypes import STORAGE
from gpu_upsample.plan.resample import plan_interpolate, plan_interpolate_backward, plan_resize
from tests import machine_code
from tests.cases import seldom
from tests.instruction_counts import per_byte, per_output, products_per_output, spec_of
from tests.test_twin import DEFAULTS

REGISTERS = 1 << 16  # of a multiprocessor
MOST = 96  # of a thread, where fewer would be spilled

LINEAR = FilterSpec("float32", "float32", "ring", 2, "span", 2, 2, 2, 1, 1, 1, 4, False, False)
CUBIC = replace(LINEAR, depth=4, width=4, least=4)
APART = replace(LINEAR, columns="apart", phases=0, step=0, shift=0)
WALK = replace(APART, columns="walk", width=0, least=0, lanes=1)
SHRINK = replace(WALK, rows="sums", fewer=True)
SHAPES = {
    "linear": LINEAR,
    "cubic": CUBIC,
    "lanczos3": replace(WALK, depth=6),
    "any ratio": APART,
    "antialias": replace(APART, rows="sums", width=4, least=3, fewer=True),
    "channels last": replace(APART, columns="joint", inner=0),
    "channels apart": replace(APART, inner=0),
    "pixels of three": replace(LINEAR, inner=3, lanes=12),
    "shrink": SHRINK,
    "direct": replace(SHRINK, rows="direct", depth=1),
    "rows only": replace(WALK, columns="none", inner=0, lanes=4),
    "columns only": replace(LINEAR, rows="none", depth=0),
    "fill": replace(APART, fill=True),
    "wide": replace(LINEAR, wide=True),
}
SPANS = {1: 16, 2: 8, 4: 4, 8: 2}
SELECTIONS = [
    SelectSpec(size, rows, columns, *period, lanes, fill, False)
    for size, lanes in SPANS.items()
    for rows, columns, period, fill in [
        (True, True, (2, 1, 0, 1), False),
        (True, False, (0, 0, 0, 0), False),
        (False, True, (0, 0, 0, 0), False),
        (True, True, (0, 0, 0, 1), True),
    ]
]


def of(dtype, spec):
    """Return a specialisation for another dtype, as the backend would choose it."""
    return replace(spec, source=dtype, result=dtype, lanes=min(spec.lanes, 16 // STORAGE[dtype].itemsize))


FILTERS = [of(dtype, spec) for dtype in STORAGE for spec in (LINEAR, SHRINK)]
FILTERS += [spec for name, spec in SHAPES.items() if name not in ("linear", "shrink")]
FILTERS += [replace(LINEAR, source="float16"), replace(SHAPES["rows only"], result="uint8")]  # between two steps
FILTERS += [
    replace(spec, source=source, result=result)
    for source, result in (("uint8 fixed", "uint8 fixed"), ("uint16 fixed", "int64 fixed"), ("int32 double",) * 2)
    for spec in (replace(SHAPES["rows only"], lanes=2), replace(WALK, rows="none", depth=0, lanes=1))
]
OTHERS = [
    PoolSpec("float32", True, 2, True, 4, False),
    FillSpec(4, 1, "int64", 2, 2, False),
    VoteSpec("int64", False),
    PlaceSpec(4, 1, "int64", False),
    FetchSpec(4, 1, 4, False),
    UnpoolBackwardSpec(4, 1, "int64", False),
]
OLDER_AND_NEWER = [(7, 5), pytest.param((8, 0), marks=pytest.mark.thorough), (10, 0)]
SAMPLES = [LINEAR, of("bfloat16", CUBIC), of("uint8", SHRINK), SELECTIONS[0]]
SAMPLES += [
    ConvTransposeSpec("float32", 1, True, False, False),
    ConvTransposeSpec("bfloat16", 1, False, True, False),
    ReductionSpec("float32", "float32", 1, True, False),
    ReductionSpec("bfloat16", "float32", 1, False, False),
    ShuffleSpec(4, 1, 2, True, 4, 4, False),
    UnfoldSpec(4, 1, 4, 1, False),
    FoldSpec("float16", "float16", "", 1, 2, 4, 1, False),
    PoolBackwardSpec("bfloat16", "int64", 2, 4, False),
    WindowsSpec("int64", True, False),
]


def describe(spec):
    return "-".join(str(getattr(spec, field.name)) for field in fields(spec))


def summed(spec):
    """Return the scalar in which a kernel stores its sums, or "none" if it only copies."""
    return getattr(spec, "result", getattr(spec, "scalar", "none"))


def check(spec, capability, most=0):
    """Hold a kernel against what holds for all; `most` if its threads take more registers than they should."""
    ptx = machine_code.ptx(spec, capability)
    code = re.sub(r"//.*", "", ptx)
    assert "call" not in code
    assert ".local" not in code
    if summed(spec) in STORAGE and STORAGE[summed(spec)].accumulator == "float32":
        assert not re.search(r"\.f64\b", code)
    # Every sum is a fused multiply-add: a product and an addition of its own would round twice, or be contracted
    # behind our back. One without the other is a fused multiply-add that the compiler simplified: the first product
    # of a sum, or a weight of 1. Rounding to integers adds a constant.
    if "float" in summed(spec) and summed(spec) in STORAGE:
        assert not all(re.search(rf"\b{word}(\.\w+)*\.f(32|64)\b", code) for word in ("mul", "add"))
    if not spec.wide:
        assert not re.search(r"\b(div|rem)\.[su]64\b", code)
    assert not re.search(r"\b(atom|red)\.[\w.:]*\.f(16|32|64)", code)
    used = machine_code.resources(spec, capability)
    resident = 1024 if capability == (7, 5) else 2048  # threads that a multiprocessor holds, at most
    assert 0 < used["REG"] <= max(most, REGISTERS // min(resident, THREADS * min_blocks_of(spec)))
    assert used["STACK"] == used["LOCAL"] == 0


# Another compiler orders instructions in another way: an older one needs more of them, and some registers in memory.
of_the_compiler = pytest.mark.skipif(
    tuple(map(int, version("nvidia-nvvm").split(".")[:2])) < (13, 5),
    reason="the budgets are for the machine code of CUDA 13.5 or later",
)


def test_every_kernel_is_here():
    assert {type(spec) for spec in (*FILTERS, *SELECTIONS, *SAMPLES, *OTHERS)} == set(KERNELS)


# Of the filters, those of other dtypes differ in how a sample is read and a sum stored.
OFTEN = {spec for spec in FILTERS if spec.source in ("uint8", "int16", "int64", "float16", "float32", "float64")}


@pytest.mark.parametrize("spec", seldom(FILTERS, OFTEN) + SELECTIONS + SAMPLES[4:] + OTHERS, ids=describe)
def test_every_kernel_on_sm_90(spec):
    check(spec, (9, 0))


def test_products_are_rounded_where_another_library_rounds_them():
    spec = replace(SHAPES["rows only"], source="float32 double", result="float32 double", lanes=1)
    assert "mul.rn.f64" in machine_code.ptx(spec)
    code = " ".join(text for _, text in machine_code.instructions(spec))
    assert "DMUL" in code
    assert "DFMA" not in code


@pytest.mark.parametrize("capability", OLDER_AND_NEWER, ids=lambda c: f"sm_{c[0]}{c[1]}")
@pytest.mark.parametrize("spec", SAMPLES, ids=describe)
def test_samples_on_other_generations(spec, capability):
    check(spec, capability)


# ---- budgets ------------------------------------------------------------------------------------------------
# A change that costs more fails. How the numbers are counted is said in `instruction_counts`.
def enlarged(dtype, mode, shape, size, data_format="channels_first"):
    return plan_interpolate(shape, dtype, size, None, mode, None, None, False, data_format)


def shrunk(dtype, mode, shape, size, data_format="channels_first"):
    return plan_interpolate(shape, dtype, size, None, mode, None, None, True, data_format)


def gradient(dtype, mode, shape, size):
    channels = (*shape[:2], *size)
    return plan_interpolate_backward(channels, dtype, shape, size, None, mode, None, None, False, "channels_first")


PLANE, TWICE, VOLUME, VOLUME_TWICE = (1, 3, 64, 960), (128, 1920), (1, 3, 16, 32, 960), (32, 64, 1920)
# Instructions per byte moved by a 2x enlargement and by its gradient: at most 7, but for the rows in `BEYOND`.
DOUBLE = {
    ("float32", "nearest"): (1.3, 1.3),
    ("float32", "bilinear"): (2.6, 1.8),
    ("float32", "bicubic"): (3.5, 2.5),
    ("float32", "trilinear"): (4.4, 3.1),
    ("float16", "nearest"): (1.5, 2.0),
    ("float16", "bilinear"): (3.8, 3.0),
    ("float16", "bicubic"): (5.8, 5.6),
    ("float16", "trilinear"): (6.5, 5.6),
    ("uint8", "nearest"): (3.3, None),
    ("uint8", "bilinear"): (6.2, None),
    ("uint8", "bicubic"): (12.2, None),
    ("uint8", "trilinear"): (9.6, None),
}
BEYOND = {("uint8", "bicubic"), ("uint8", "trilinear")}
# Sixteen bytes of their results would need too many registers.
FEWER_LANES = {("uint8", "bicubic"), ("float16", "bicubic")}


def of_double(dtype, mode):
    return (VOLUME, VOLUME_TWICE) if mode == "trilinear" else (PLANE, TWICE)


@of_the_compiler
@pytest.mark.parametrize(("dtype", "mode"), DOUBLE)
def test_instructions_per_byte_of_a_double(dtype, mode):
    forward, backward = DOUBLE[dtype, mode]
    limit = np.inf if (dtype, mode) in BEYOND else 7.0
    shape, size = of_double(dtype, mode)
    assert per_byte(enlarged(dtype, mode, shape, size), dtype) <= min(forward, limit)
    if backward is not None:
        assert per_byte(gradient(dtype, mode, shape, size), dtype) <= min(backward, limit)


@of_the_compiler
@pytest.mark.parametrize(("dtype", "mode"), DOUBLE)
def test_resources_of_a_double(dtype, mode):
    shape, size = of_double(dtype, mode)
    plans = [enlarged(dtype, mode, shape, size)]
    if dtype != "uint8":
        plans.append(gradient(dtype, mode, shape, size))
    for step in (step for plan in plans for step in joined(plan)):
        spec = spec_of(step)
        check(spec, (9, 0), 72 if (dtype, mode) == ("float16", "trilinear") else 64)
        if (dtype, mode) not in FEWER_LANES:
            assert spec.lanes * step.result.itemsize == 16
            assert any("STG.E.128" in text for _, text in machine_code.instructions(spec))


@of_the_compiler
@pytest.mark.parametrize(("method", "most"), [("linear", 64), (("cubic", "linear", "cubic"), 80)])
def test_resources_of_volumes_beyond_32_bits(method, most):
    (step,) = joined(plan_resize(VOLUME, "float32", 0, "clamp", VOLUME_TWICE, None, (2, 3, 4), method, *DEFAULTS))
    check(filter_spec(step, lane_counts(step)[0], True), (9, 0), most)


# Instructions per scalar of the result of float32, float16 and uint8 at other ratios and in other layouts. They stay
# within twice the multiply-adds that the taps need and 12 more, but for the rows that `OVER` names: on a GPU, windows
# of a thread's own are faster there than samples that its lanes share, with fewer instructions. And where such windows
# lie far apart, lanes that are dealt to threads find samples in fewer lines of the cache, but store one by one.
WIDER, NARROWER = ((1, 3, 100, 700), (137, 960)), ((1, 3, 100, 1600), (61, 976))
PIXELS, PIXELS_WIDER = (((1, 64, 960, 3), TWICE, "channels_last"), ((1, 100, 700, 3), (137, 960), "channels_last"))
CHANNELS = ((1, 64, 960, 16), TWICE, "channels_last")
OTHERWISE = {
    "nearest x1.37": ((6.8, 4.6, 6.0), enlarged, "nearest", *WIDER),
    "bilinear x1.37": ((18.8, 18.3, 19.1), enlarged, "bilinear", *WIDER),
    "bicubic x1.37": ((26.9, 27.8, 28.5), enlarged, "bicubic", *WIDER),
    "bilinear x0.61": ((28.9, 29.9, 31.8), enlarged, "bilinear", *NARROWER),
    "bilinear x0.61 antialias": ((37.8, 39.9, 41.2), shrunk, "bilinear", *NARROWER),
    "bicubic x0.61": ((38.9, 41.2, 42.2), enlarged, "bicubic", *NARROWER),
    "bicubic x0.61 antialias": ((65.1, 75.0, 78.2), shrunk, "bicubic", *NARROWER),
    "bilinear x0.5 antialias": ((34.3, 29.3, 47.5), shrunk, "bilinear", PLANE, (32, 480)),
    "nearest x2, 3 channels last": ((6.8, 3.8, 3.7), enlarged, "nearest", *PIXELS),
    "bilinear x2, 3 channels last": ((14.7, 8.4, 8.4), enlarged, "bilinear", *PIXELS),
    "bicubic x2, 3 channels last": ((25.2, 17.2, 15.2), enlarged, "bicubic", *PIXELS),
    "bilinear x2, 16 channels last": ((11.7, 9.4, 11.4), enlarged, "bilinear", *CHANNELS),
    "bilinear x1.37, 3 channels last": ((21.0, 20.5, 22.0), enlarged, "bilinear", *PIXELS_WIDER),
}
OVER = {
    "bicubic x0.61": ("float16", "float32", "uint8"),
    "bicubic x0.61 antialias": ("float16", "float32", "uint8"),
    "bicubic x1.37": ("float16", "float32", "uint8"),
    "bicubic x2, 3 channels last": ("float32",),
    "bilinear x0.5 antialias": ("uint8",),
    "bilinear x0.61": ("float16", "float32", "uint8"),
    "bilinear x0.61 antialias": ("float16", "float32", "uint8"),
    "bilinear x1.37": ("uint8",),
    "bilinear x1.37, 3 channels last": ("float16", "float32", "uint8"),
}


@of_the_compiler
@pytest.mark.parametrize(("place", "dtype"), list(enumerate(["float32", "float16", "uint8"])))
@pytest.mark.parametrize("name", OTHERWISE)
def test_instructions_per_output(name, place, dtype):
    budgets, planned, *arguments = OTHERWISE[name]
    plan = planned(dtype, *arguments)
    limit = 2 * products_per_output(plan) + 12
    assert per_output(plan) <= budgets[place]
    assert (budgets[place] > limit) == (dtype in OVER.get(name, ()))
    for step in plan.steps:
        check(spec_of(step), (9, 0), 92 if (dtype, name) == ("uint8", "bicubic x2, 3 channels last") else 64)


# ---- kernels of many calls ------------------------------------------------------------------------------------
def chosen(ratios, axes):
    """Return the specialisations of the filter kernel that the backend chooses over a grid of calls."""
    found = {}
    for dtype, channels, (up, down), along in product(("uint8", "float16", "float32"), (1, 3, 4), ratios, axes):
        shape = (1, 96, 960, channels)
        size = [96 if along == "columns" else 96 * up // down, 960 if along == "rows" else 960 * up // down]
        for mode, planned in product(("bilinear", "bicubic"), (enlarged, shrunk) if up < down else (enlarged,)):
            for step in joined(planned(dtype, mode, shape, size, "channels_last")):
                found[spec_of(step)] = None
    return list(found)


RATIOS = [(2, 1), (3, 1), (4, 1), (3, 2), (1, 2), (1, 3), (137, 100), (61, 100)]


@pytest.mark.thorough
@pytest.mark.parametrize("spec", chosen(RATIOS, ("both", "columns", "rows")), ids=describe)
def test_kernels_of_many_calls(spec):
    check(spec, (9, 0), MOST)


@pytest.mark.parametrize(
    ("planned", "dtype", "mode", "channels", "size"),
    [
        (enlarged, "float16", "bilinear", 4, (192, 1920)),
        (shrunk, "uint8", "bilinear", 3, (48, 480)),
        (enlarged, "uint8", "bicubic", 1, (96, 3840)),
        (enlarged, "uint8", "bilinear", 4, (96, 3840)),
    ],
)
def test_threads_whose_registers_would_not_suffice_are_fewer(planned, dtype, mode, channels, size):
    """With as many threads as are asked for, registers would be written to memory; with more lanes, whole arrays."""
    (step,) = planned(dtype, mode, (1, 96, 960, channels), size, "channels_last").steps
    check(spec_of(step), (9, 0), MOST)


def test_instructions_per_tap_of_a_long_window():
    # The loop of a window longer than eight samples: the compiler takes four groups of four taps at a time.
    assert machine_code.shortest_loop(WALK, 16) / 16 <= 4.5


def test_rows_are_loaded_128_bits_wide():
    assert any("LDG.E.128" in text for _, text in machine_code.instructions(SHAPES["rows only"]))


def test_gradients_load_128_bits_at_once():
    (step,) = gradient("float32", "bilinear", PLANE, TWICE).steps
    spec = spec_of(step)
    assert (spec.columns, spec.vector) == ("span", 4)
    assert any("LDG.E.128" in text for _, text in machine_code.instructions(spec))


def test_threads_that_keep_little_make_room_for_more_of_them():
    (step,) = enlarged("float32", "bilinear", PLANE, TWICE).steps
    (deeper,) = enlarged("float16", "bicubic", PLANE, TWICE).steps
    assert spec_of(step).blocks > spec_of(deeper).blocks
    assert machine_code.resources(spec_of(step), (9, 0))["REG"] <= 65536 // (THREADS * spec_of(step).blocks)
