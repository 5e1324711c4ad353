"""The memory of plans: equal arguments share a plan, and arguments that only compare equal do not."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
import pytest

from gpu_upsample.plan.cache import cached, written

GIVEN = ((2, 3), "float32")


class Mode(Enum):
    """An argument that marshal does not write."""

    LINEAR = 1
    CUBIC = 2


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
        [Mode.LINEAR, Mode.LINEAR],
    ],
    ids=["integers", "numbers", "name", "nan", "enumeration"],
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


def test_every_input_counts(plan: Any) -> None:
    assert planned(plan, (7,), GIVEN, (None, None)) == [*GIVEN, None, None, 7]
    assert planned(plan, (7,), GIVEN, GIVEN) == [*GIVEN, *GIVEN, 7]
