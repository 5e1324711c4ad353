"""The same bits on every machine and backend: those of data/bits.json.

They were seen on x86-64 with AVX-512 and without any such extension, and on an emulated aarch64.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import gpu_upsample as gu
from tests.bits import CALLS, FILE, digest

EXPECTED = json.loads(FILE.read_text())


def test_every_call_is_known() -> None:
    assert CALLS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", CALLS)
def test_bits(backend: Any, name: str) -> None:
    with gu.use_backend(backend.name):
        assert digest(CALLS[name]) == EXPECTED[name]
