"""What a record tells native code of a result, and what becomes of it once the place of the result is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_upsample.cpu import job
from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.filter import _filter_job
from gpu_upsample.cpu.job import Lines, prepared
from gpu_upsample.cpu.record import (
    ARGUMENTS,
    ASTRAY,
    COLLECTED,
    COST,
    GIVEN,
    LEAD,
    LEAST,
    OUT,
    PASSING,
    PLACES,
    ROWS,
    STREAMS,
    X,
    write_arguments,
)
from gpu_upsample.cpu.select import _select_job
from gpu_upsample.cpu.vectors import aligned
from gpu_upsample.cpu.work import ROW_BYTES
from gpu_upsample.plan.steps import plan_steps
from gpu_upsample.plan.taps import pooling_taps

FLOAT32 = np.dtype(np.float32)


@Kernel
def length_kernel(first, last, arguments, scratch):  # type: ignore[no-untyped-def]
    x, out, lead, _streams, strip = unpack(arguments, scratch)
    for row in range(first, last):
        out[row] = x.size + lead + strip.size


def written(record: Any, out: Any) -> Any:
    """Return the arguments for a result."""
    words = np.zeros(len(record) - ARGUMENTS, np.int64)
    write_arguments(record, (12345, out.ctypes.data), words)
    return words


@pytest.mark.parametrize(
    ("passing", "limit", "offset", "lead", "streams", "collected"),
    [
        (0, 0, 0, 0, 0, 9),  # it stays in the caches
        (4, 64, 0, 0, 1, 1),
        (4, 64, 12, 3, 1, 1),
        (4, 64, 13, 0, 0, 1),  # no scalar begins where a cache line does: it is stored
        (4, 0, 0, 0, 1, 1),
        (4, 0, 4, 1, 0, 9),
        (4, -1, 0, 0, 0, 9),
        (8, -1, 40, 5, 0, 9),
        (8, -1, 4, 0, 0, 1),
    ],
)
def test_how_a_result_is_written_where_it_lies(
    passing: int, limit: int, offset: int, lead: int, streams: int, collected: int
) -> None:
    record = np.zeros(ARGUMENTS + 10, np.int64)
    record[PASSING], record[ASTRAY] = passing, limit
    record[GIVEN], record[PLACES], record[PLACES + 1] = 2, X, OUT
    record[ARGUMENTS + COLLECTED], record[-1] = 9, 1234
    held = aligned(256, np.uint8)
    words = written(record, held[offset : offset + 64])
    assert (words[LEAD], words[STREAMS], words[COLLECTED]) == (lead, streams, collected)
    assert (words[X], words[OUT]) == (12345, held.ctypes.data + offset)
    assert words[-1] == 1234


def test_what_no_call_gives_is_copied() -> None:
    record = np.arange(ARGUMENTS + 12)
    record[PASSING] = record[GIVEN] = 0
    np.testing.assert_array_equal(written(record, np.zeros(64, np.uint8)), record[ARGUMENTS:])


@pytest.mark.parametrize(("width", "limit"), [(1024, 64), (1025, 64), (992, 0), (1001, -1)])
def test_how_rows_of_a_length_are_written(width: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long rows are streamed wherever they lie, others only if all of their cache lines are theirs alone."""
    x, out = Lines(FLOAT32, 6, 5), Lines(FLOAT32, 7, width)
    monkeypatch.setattr(job, "_STREAMED_BYTES", x.nbytes + out.nbytes + 1)
    stored = prepared(length_kernel, (), x, out, unit=2, product_bytes=1).record
    assert stored[PASSING] == 0
    assert stored[ARGUMENTS + COLLECTED] == 1
    assert stored[ROWS] == 4
    assert (stored[ARGUMENTS + X + 1], stored[ARGUMENTS + OUT + 1]) == (30, 7 * width)
    for passing in (
        prepared(length_kernel, (), x, out, product_bytes=1, read=x.nbytes + 1),
        prepared(length_kernel, (), Lines(FLOAT32, 6, 6), out, product_bytes=1),
    ):
        assert (passing.record[PASSING], passing.record[ASTRAY]) == (4, limit)
        assert passing.record[ARGUMENTS + COLLECTED] > 4 * width


def test_few_long_rows_are_shared_and_many_short_ones_cost_their_number() -> None:
    """Signals have one row for each channel; small maps of features take longer than their bytes do."""
    for mapping in (np.arange(1 << 20) // 2, pooling_taps(1 << 19, 1 << 20)):
        (step,) = plan_steps((2, 1 << 19), "float32", {1: mapping}).steps
        run = _select_job if isinstance(mapping, np.ndarray) else _filter_job
        assert (run(step).record[ROWS], run(step).record[LEAST]) == (2, 1)
    taps = pooling_taps(4, 2)
    (step,) = plan_steps((5000, 4, 4), "uint8", {1: taps, 2: taps}).steps
    assert _filter_job(step).record[COST] >= 5000 * (4 + 2) * ROW_BYTES


def test_a_job_takes_its_arrays_where_they_are() -> None:
    done = prepared(length_kernel, (), Lines(FLOAT32, 6, 5), Lines(FLOAT32, 7, 1), product_bytes=1)
    for dtype in (FLOAT32, np.dtype(np.int32)):  # whatever a kernel is told they are
        x, out = np.zeros(30, dtype), np.zeros(7, FLOAT32)
        x.flags.writeable = False
        done.run(x, out)
        np.testing.assert_array_equal(out, np.full(7, 31.0))
