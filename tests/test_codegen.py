"""What the compiler makes of the CUDA kernels, checked without a GPU.

Every kernel x dtype is compiled for sm_90, samples for the other generations; PTX and SASS are held against the
budgets below. A change that breaks one fails here.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
pytest.importorskip("nvidia.cu13", reason="reading machine code needs nvidia-cuda-cuobjdump")
from gpu_upsample.cuda.conv_backward_kernels import ReductionSpec
from gpu_upsample.cuda.conv_kernels import ConvTransposeSpec
from gpu_upsample.cuda.kernels import FilterSpec, SelectSpec
from gpu_upsample.cuda.pooling_backward_kernels import PoolBackwardSpec, UnpoolBackwardSpec, WindowsSpec
from gpu_upsample.cuda.pooling_kernels import FetchSpec, PoolSpec, VoteSpec
from gpu_upsample.cuda.rearrange_kernels import FoldSpec, ShuffleSpec, UnfoldSpec
from gpu_upsample.cuda.registry import KERNELS
from gpu_upsample.plan.dtypes import STORAGE
from tests import machine_code

REGISTERS = 64

LINEAR = FilterSpec("float32", "float32", "ring", 2, 2, 4, False, False)
CUBIC = replace(LINEAR, depth=4, columns=4)
SHRINK = FilterSpec("float32", "float32", "sums", 2, -1, 4, False, False)
SHAPES = {
    "linear": LINEAR,
    "cubic": CUBIC,
    "lanczos3": replace(LINEAR, depth=6, columns=6, lanes=2),
    "shrink": SHRINK,
    "direct": replace(SHRINK, rows="direct", depth=1),
    "rows only": replace(LINEAR, columns=0),
    "columns only": replace(LINEAR, rows="none", depth=0),
    "fill": replace(LINEAR, fill=True),
    "wide": replace(LINEAR, wide=True),
    "gradient of linear": replace(LINEAR, rows="sums", columns=4),
    "gradient of cubic": replace(LINEAR, rows="sums", depth=4, columns=8, lanes=2),
}
SELECTIONS = [
    SelectSpec(size, rows, columns, 16 // size if not columns else min(4, 16 // size), fill, False)
    for size in (1, 2, 4, 8)
    for rows, columns, fill in [(True, True, False), (True, False, False), (False, True, False), (True, True, True)]
]


def of(dtype, spec):
    """Return a specialisation for another dtype, as the backend would choose it."""
    narrow = STORAGE[dtype].accumulator == "float32"
    lanes = spec.lanes if narrow else min(spec.lanes, 2)
    return replace(spec, source=dtype, result=dtype, lanes=lanes)


FILTERS = [of(dtype, spec) for dtype in STORAGE for spec in (LINEAR, SHRINK)]
FILTERS += [spec for name, spec in SHAPES.items() if name not in ("linear", "shrink")]
FILTERS += [replace(LINEAR, source="float16"), replace(LINEAR, result="uint8", columns=0)]  # between two steps
FILTERS += [
    replace(spec, source=source, result=result)
    for source, result in (("uint8 fixed", "uint8 fixed"), ("uint16 fixed", "int64 fixed"), ("int32 double",) * 2)
    for spec in (replace(LINEAR, columns=0, lanes=2), replace(LINEAR, rows="none", depth=0, columns=-1, lanes=1))
]
OTHERS = [
    PoolSpec("float32", True, 2, True, 4, False),
    VoteSpec("int64", False),
    FetchSpec(4, 1, 4, False),
    UnpoolBackwardSpec(4, 1, "int64", False),
]
OLDER_AND_NEWER = [(7, 5), (8, 0), (10, 0)]
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
    return "-".join(str(value) for value in vars(spec).values())


def summed(spec):
    """Return the scalar in which a kernel stores its sums, or "none" if it only copies."""
    return getattr(spec, "result", getattr(spec, "scalar", "none"))


def check(spec, capability):
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
    assert used["REG"] <= REGISTERS
    assert used["STACK"] == used["LOCAL"] == 0


def test_every_kernel_is_here():
    assert {type(spec) for spec in (*FILTERS, *SELECTIONS, *SAMPLES, *OTHERS)} == set(KERNELS)


@pytest.mark.parametrize("spec", FILTERS + SELECTIONS + SAMPLES[4:] + OTHERS, ids=describe)
def test_every_kernel_on_sm_90(spec):
    check(spec, (9, 0))


def test_products_are_rounded_where_another_library_rounds_them():
    spec = replace(LINEAR, source="float32 double", result="float32 double", columns=0, lanes=1)
    assert "mul.rn.f64" in machine_code.ptx(spec)
    code = " ".join(text for _, text in machine_code.instructions(spec))
    assert "DMUL" in code
    assert "DFMA" not in code


@pytest.mark.parametrize("capability", OLDER_AND_NEWER, ids=lambda c: f"sm_{c[0]}{c[1]}")
@pytest.mark.parametrize("spec", SAMPLES, ids=describe)
def test_samples_on_other_generations(spec, capability):
    check(spec, capability)


@pytest.mark.parametrize("name", ["linear", "cubic", "rows only", "columns only"])
def test_stores_are_128_bits_wide(name):
    assert any("STG.E.128" in text for _, text in machine_code.instructions(SHAPES[name]))


def test_rows_are_loaded_128_bits_wide():
    assert any("LDG.E.128" in text for _, text in machine_code.instructions(SHAPES["rows only"]))


# Instructions of the loop over output rows per byte moved by a 2x enlargement: 4 bytes written and 1 read (along
# both axes), or 4 and 2 (along one). Three-fold headroom would hide a regression, so the budgets lie close.
BUDGETS = {
    "linear": (LINEAR, 5.0, 5.5),
    "cubic": (CUBIC, 5.0, 10.5),
    "rows only": (SHAPES["rows only"], 6.0, 2.5),
    "nearest": (SelectSpec(4, True, True, 4, False, False), 5.0, 1.6),
}


@pytest.mark.parametrize("name", BUDGETS)
def test_instructions_per_byte(name):
    spec, bytes_per_output, budget = BUDGETS[name]
    count = len(machine_code.row_loop(spec))
    assert count / (spec.lanes * bytes_per_output) <= budget
