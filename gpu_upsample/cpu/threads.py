"""Runs the works of calls, shared between threads where that pays."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from gpu_upsample.cpu.arguments import address, call
from gpu_upsample.cpu.compiled import compiled
from gpu_upsample.cpu.pool import Pool
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.record import ARGUMENTS, COST, FUNCTION, LEAST, ROOM, ROWS, fits, sizes_of, write_arguments
from gpu_upsample.cpu.team import helpers_for, is_apart, lead, new_bytes, release_bytes, words_at
from gpu_upsample.cpu.vectors import BYTES, pointer

# Bytes of work that make a thread worth its while. Below twice as many, the caller does all.
_EACH_BYTES = 5 << 17

_DONE, _NOT_APART, _NO_MEMORY, _NOT_FITTING = range(4)


@compiled
def _run(memory, record, anywhere, a, b, c, d, e):
    """Run the kernel of a record, and return _DONE or what was in the way.

    Parameters
    ----------
    memory : ndarray of int64
        That of the team.
    record : ndarray of int64
        The record of a work (see `record`).
    anywhere : bool
        Whether threads may help that have not started, or that may run where the caller does.
    a, b, c, d, e : ndarray of uint8
        The arrays of the call, and empty ones behind them.
    """
    if not fits(record, (a.size, b.size, c.size, d.size, e.size)):
        return _NOT_FITTING
    team = pointer(memory, 0)
    rows, room = record[ROWS], record[ROOM]
    helpers = helpers_for(team, record[COST], rows // record[LEAST])
    if helpers > 0 and not (anywhere or is_apart(team)):
        return _NOT_APART
    own = (8 * (record.size - ARGUMENTS) + BYTES - 1) & -BYTES
    taken = new_bytes(own + (helpers + 1) * room + BYTES)
    if taken == 0:
        return _NO_MEMORY
    words = (taken + BYTES - 1) & -BYTES
    write_arguments(record, (address(a), address(b), address(c), address(d), address(e)), words_at(words))
    function, scratch = record[FUNCTION], words + own
    if helpers == 0 or not lead(team, helpers, function, words, rows, record[LEAST], scratch, room):
        call(function, 0, rows, words, scratch)
    release_bytes(taken)
    return _DONE


@lru_cache(maxsize=4)
def pool_of(number: int) -> Pool:
    """Return the threads of this process that share the work of calls, with that of the caller so many."""
    return Pool(number - 1, _EACH_BYTES)


if hasattr(os, "register_at_fork"):
    # A forked child inherits the pool but none of its threads: let it build its own.
    os.register_at_fork(after_in_child=pool_of.cache_clear)


def run(record: Any, *given: Any) -> None:
    """Do a work; the parameters are those of `_run`."""
    pool = pool_of(num_threads())
    state = _run(pool.memory, record, False, *given)
    if state == _NOT_APART:
        pool.stand_apart()
        state = _run(pool.memory, record, True, *given)
    if state == _NOT_FITTING:
        raise ValueError(f"a work on arrays of {sizes_of(record)} bytes got {[array.size for array in given]}")
    if state == _NO_MEMORY:
        raise MemoryError(f"no memory for the {record[ROOM]} bytes that each thread needs")
