"""The memory of plans: equal arguments share a plan, and arguments that only compare equal do not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from enum import Enum, IntEnum, StrEnum
from threading import Barrier
from typing import Any
from weakref import ref

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample.cpu.bands import joined
from gpu_upsample.cpu.filter import _band_job, _column_sums, _filter_job
from gpu_upsample.plan.cache import cached, kept, remembered, written
from gpu_upsample.plan.coordinates import Axis
from gpu_upsample.plan.resample import Sampling, axis_map, plan_resize

GIVEN = ((2, 3), "float32")


class Mode(Enum):
    """An argument that marshal does not write."""

    LINEAR = 1
    CUBIC = 2


class Number(IntEnum):
    """An integer with a name."""

    SEVEN = 7


class Name(StrEnum):
    """A name among others."""

    LINEAR = "linear"


class Anonymous:
    """An argument that marshal does not write, and whose text says nothing."""

    def __repr__(self) -> str:
        return "anonymous"


def planned(planner: Any, arguments: tuple[Any, ...], *inputs: tuple[Any, Any]) -> Any:
    return planner(inputs, written(arguments))


@pytest.fixture
def plan() -> Any:
    """Return a planner whose plans are lists of what it was called with."""
    return cached(lambda *call: list(call))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    "same",
    [
        [(2, 3), [2, 3], np.array([2, 3]), (np.int64(2), np.uint8(3))],
        [(2.0, 0.5), np.array([2.0, 0.5]), [np.float32(2), 0.5]],
        ["linear", np.str_("linear")],
        [float("nan"), np.float32("nan")],
        [7, Number.SEVEN, np.uint8(7)],
        ["linear", Name.LINEAR],
        [((0, 1), (2, 3)), ([i, i + 1] for i in (0, 2)), np.arange(4).reshape(2, 2), (range(2), range(2, 4))],
    ],
    ids=["integers", "numbers", "name", "nan", "number of an enumeration", "name of an enumeration", "items"],
)
def test_what_says_the_same_is_planned_once(plan: Any, same: list[Any]) -> None:
    first = planned(plan, (same[0], None), GIVEN)
    assert first[:2] == list(GIVEN)
    assert all(planned(plan, (other, None), GIVEN) is first for other in same)


def test_what_only_compares_equal_is_another_argument(plan: Any) -> None:
    different = [
        1,
        1.0,
        True,
        -1,
        0.0,
        -0.0,
        False,
        0,
        "1",
        (1,),
        (1.0,),
        (True,),
        ((1,),),
        None,
        Mode.LINEAR,
        Mode.CUBIC,
    ]
    plans = [planned(plan, (argument,), GIVEN) for argument in different]
    assert [repr(found[2:]) for found in plans] == [repr([argument]) for argument in different]


def test_arguments_of_one_text_are_not_mistaken_for_each_other(plan: Any) -> None:
    first, second = Anonymous(), Anonymous()
    for argument in (first, second):
        assert planned(plan, (argument,), GIVEN)[2] is argument


# ---- how much is kept -------------------------------------------------------------------------------------------
def test_large_results_are_kept_by_their_bytes() -> None:
    made: list[int] = []

    @remembered(8, 2000)
    def zeros(number: int) -> Any:
        made.append(number)
        return np.zeros(number, np.uint8)

    for _ in range(2):
        for number in (1, 2, 300, 400, 250):
            zeros(number)
    assert made == [1, 2, 300, 400, 250]
    zeros(301)  # of the large ones, 300 was asked for longest ago
    zeros(400)
    zeros(300)
    assert made[5:] == [301, 300]
    zeros(2000)  # one is kept, however large, and none beside it
    zeros(2000)
    zeros(200)
    assert made[7:] == [2000, 200]
    zeros.cache_clear()  # type: ignore[attr-defined]
    zeros(1)
    assert made[9:] == [1]


def test_results_are_kept_with_their_owner() -> None:
    class Owner:
        pass

    class Result:
        pass

    made: list[Any] = []

    @kept
    def made_of(owner: Any, number: int) -> Result:
        made.append(number)
        return Result()

    owner = Owner()
    first = ref(made_of(owner, 1))
    assert made_of(owner, 1) is first()
    assert made_of(owner, 2) is not first()
    assert made_of(Owner(), 1) is not first()
    assert made == [1, 2, 1]
    made_of.cache_clear()  # type: ignore[attr-defined]
    assert made_of(owner, 1) is not first()
    del owner
    assert first() is None


def test_what_two_threads_make_at_once_is_kept_once() -> None:
    """Or one of them would go on with tables of which nobody else knows."""
    met = Barrier(2, timeout=60)

    @kept
    def made_of(owner: Any) -> Any:
        met.wait()
        return object()

    class Owner:
        pass

    owner = Owner()
    with ThreadPoolExecutor(2) as executor:
        first, second = executor.map(made_of, [owner, owner])
    assert first is second
    assert made_of(owner) is first


def test_a_job_of_bands_keeps_what_its_record_points_to() -> None:
    how = (True, "half_pixel", "round_prefer_floor", -0.5, None)
    plan = plan_resize((300, 1000, 3), "uint8", 0, "clamp", (40, 100), None, None, "cubic", *how)
    with gu.use_threads(2):
        (bands,) = joined(plan)
    job = _band_job(bands)
    parts = [ref(_filter_job(bands.first)), ref(_filter_job(bands.second, 300 * 1000 * 3))]
    for step in (bands.first, bands.second):
        for name in [name for name in vars(step) if "_filter_job" in name]:
            del vars(step)[name]
    assert all(part() is not None for part in parts)
    del job
    for name in [name for name in vars(bands) if "_band_job" in name]:
        del vars(bands)[name]
    assert all(part() is None for part in parts)


def test_long_axes_do_not_fill_the_memory() -> None:
    found = []
    for n in range(1_000_000, 1_000_016):
        gu.resize(np.zeros(n, np.float32), n + 1)
        found.append(ref(axis_map(Axis(n, n + 1, None, None), Sampling("linear"))))
    kept_taps = [taps for weak in found if (taps := weak()) is not None]
    assert 1 <= len(kept_taps) <= 4  # of 32 MB each
    assert found[-1]() is kept_taps[-1]


def test_every_input_counts(plan: Any) -> None:
    assert planned(plan, (7,), GIVEN, (None, None)) == [*GIVEN, None, None, 7]
    assert planned(plan, (7,), GIVEN, GIVEN) == [*GIVEN, *GIVEN, 7]


def test_shapes_share_what_follows_from_their_lengths() -> None:
    def tables(*shape: int) -> tuple[Any, Any]:
        how = ("cubic", False, "half_pixel", "round_prefer_floor", -0.5, None)
        (step,) = plan_resize(shape, "float32", 0, "clamp", (37, 41), None, (1, 2), *how).steps
        return step.rows, _column_sums(step).tables

    rows, columns = tables(1, 93, 85)
    assert tables(2, 93, 69)[0] is rows
    assert tables(3, 77, 85)[1] is columns
