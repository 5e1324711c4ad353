"""Sums in which what is not there counts as 0, which is right as long as what it is multiplied by is finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpu_upsample.cpu.work import Work


def run_exactly(work_of: Callable[[int], tuple[Work, int]], *arrays: Any) -> None:
    """Do a work, and those of its jobs anew of which it then doubts that they are right.

    Parameters
    ----------
    work_of : callable
        Takes 0 for the work, or 1 for one in which only doubtful jobs are done, and what is not there does not count.
        Returns it, and how many jobs there are. Its last array is a flag for each of them.
    *arrays : ndarray
        The arrays before that.
    """
    forming, jobs = work_of(0)
    doubtful = np.zeros(jobs, np.bool_)
    forming.run(*arrays, doubtful)
    if doubtful.any():
        exactly, _ = work_of(1)
        exactly.run(*arrays, doubtful)
