"""How many instructions the warps of a GPU execute, and how well their accesses fit its memory."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from tests import ptx
from tests.test_ptx import PROGRAM
from tests.traffic import Watched, resized
from tests.twin_memory import at_offset


def test_counts():
    body = """
        mov.u32 %r3, 0;
        ld.global.nc.u32 %r2, [%rd1];
        setp.ge.u32 %p1, %r1, 40;
        @%p1 add.s32 %r2, %r2, 1;
        mul.wide.u32 %rd4, %r1, 12;
        add.s64 %rd4, %rd2, %rd4;
        st.global.u32 [%rd4], %r2;
    """
    x, out = (np.asarray(at_offset(np.zeros(size, np.uint32), 0)) for size in (128, 512))
    parameters = [np.array([array.ctypes.data], np.uint64).view(np.uint8) for array in (x, out)]
    threads = Watched(ptx.parsed(PROGRAM.format(body)), [0], parameters, ptx.Memory([x, out]))
    threads.run()
    # Of four warps, each executes three instructions for addresses, six of the body, and the return; words are stored
    # 16 bytes apart, two to a sector.
    assert threads.counts["instructions"] == 4 * 10
    assert (threads.counts["loads"], threads.counts["load sectors"]) == (4, 4 * 4)
    assert (threads.counts["stores"], threads.counts["store sectors"]) == (4, 4 * 16)


@pytest.mark.parametrize(
    ("case", "instructions", "loads", "sectors"),
    [
        (("float32", "linear", 2, "CHW"), 15.7, 1.7, 17.2),
        (("uint8", "linear", 2, "CHW narrow"), 15.7, 0.8, 18.5),
        (("uint8", "cubic", 2, "HWC"), 17.2, 1.0, 13),
        pytest.param(("float32", "cubic", 2, "CHW"), 19.2, 1.5, 17.2, marks=pytest.mark.thorough),
        pytest.param(("uint8", "linear", 2, "HWC"), 11.1, 1.1, 13, marks=pytest.mark.thorough),
        pytest.param(("uint8", "lanczos3", 2, "HWC"), 30.5, 4.0, 7, marks=pytest.mark.thorough),
        pytest.param(("float32", "cubic", 1.37, "CHW"), 35.5, 5.4, 5, marks=pytest.mark.thorough),
        pytest.param(("uint8", "nearest", 2, "CHW odd"), 8.7, 0.9, 3.5, marks=pytest.mark.thorough),
        pytest.param(("uint8", "linear", 2, "CHW odd"), 27.9, 2.6, 3.5, marks=pytest.mark.thorough),
        pytest.param(("float16", "cubic", 2, "CHW narrow"), 29.1, 1.5, 17, marks=pytest.mark.thorough),
    ],
    ids=str,
)
def test_budgets(case, instructions, loads, sectors):
    each, _ = resized(*case)
    assert each["instructions"] <= instructions
    assert each["loads"] <= loads
    assert each["store sectors"] / each["stores"] <= sectors
