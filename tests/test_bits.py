"""The same bits on every machine and backend: those of data/bits.json.

They were seen on x86-64 with AVX-512 and without any such extension, and on an emulated aarch64.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

import gpu_upsample as gu
from gpu_upsample.cpu.features import has_feature
from tests.bits import AVX2, CALLS, FILE, digest

EXPECTED = json.loads(FILE.read_text())


def test_every_call_is_known() -> None:
    assert CALLS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", CALLS)
def test_bits(backend: Any, name: str) -> None:
    with gu.use_backend(backend.name):
        assert digest(CALLS[name]) == EXPECTED[name]


# Bytes, halves, words and doubles, copied and summed, up and down, in tiles, and the indices of pooling.
SOME = [
    "interpolate-nearest",
    "interpolate-bicubic",
    "interpolate-bilinear-antialias=True-backward",
    "lanczos-False-float16",
    "lanczos-True-uint8",
    "opencv-INTER_NEAREST-(21, 37)-uint8",
    "opencv-INTER_LINEAR-(21, 37)-uint8",
    "opencv-INTER_CUBIC-(21, 37)-float32",
    "opencv-INTER_AREA-(8, 17)-uint8",
    "conv_transpose2d-full-float32",
    "conv_transpose2d-collected",
    "max_pool2d-float32",
]


@pytest.mark.skipif(not has_feature("avx2"), reason="this processor has no AVX2")
def test_bits_with_avx2_alone() -> None:
    command = [sys.executable, "-m", "tests.bits", *SOME]
    done = subprocess.run(command, env=os.environ | AVX2, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {name: EXPECTED[name] for name in SOME}
