"""How the CPU shares work between threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import lru_cache
from time import sleep
from typing import Any

import pytest

from gpu_upsample.cpu import threads
from gpu_upsample.cpu.threads import run_in_parts


@pytest.mark.parametrize("least", [1, 3, 8, 40])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_every_row_is_done_once_in_parts_that_are_not_too_short(use_threads: Any, number: int, least: int) -> None:
    use_threads(number)
    for rows in range(1, 700, 7):
        parts: list[tuple[int, int]] = []
        run_in_parts(lambda first, last, parts=parts: parts.append((first, last)), rows, 1 << 30, least)
        assert sorted(row for part in parts for row in range(*part)) == list(range(rows))
        assert len(parts) == 1 or min(last - first for first, last in parts) >= least
        assert len(parts) <= 3 * number


def test_the_last_parts_are_short(use_threads: Any) -> None:
    """So no thread is left with much to do when the others are done."""
    use_threads(2)
    parts: list[int] = []
    run_in_parts(lambda first, last: parts.append(last - first), 1600, 1 << 30, 1)
    assert sorted(parts) == [100] * 4 + [600] * 2


def test_an_error_in_any_thread_reaches_the_caller_when_no_thread_is_at_work_any_more(use_threads: Any) -> None:
    use_threads(3)
    met = threading.Barrier(3, timeout=60)
    begun: list[int] = []
    done: list[int] = []

    def work(first: int, last: int) -> None:
        begun.append(first)
        if len(begun) <= 3:
            met.wait()  # so that three threads take part
        if first == 600:
            raise ZeroDivisionError
        sleep(0.05)
        done.append(first)

    with pytest.raises(ZeroDivisionError):
        run_in_parts(work, 2400, 1 << 30, 1)
    assert sorted([*done, 600]) == sorted(begun)
    assert len(begun) < 9  # no other part was begun


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_threads_keep_off_the_processor_of_their_caller(use_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux may wake them on it, where they wait for each other while another processor has nothing to do."""
    use_threads(3)
    monkeypatch.setattr(threads, "_pool", lru_cache(threads._Pool))

    def places() -> list[set[int]]:
        """Return where the threads of the pool may run, in a call in which all take part."""
        met, seen = threading.Barrier(3, timeout=60), {}

        def work(first: int, last: int) -> None:
            if threading.get_ident() not in seen:
                seen[threading.get_ident()] = os.sched_getaffinity(0)
                met.wait()

        run_in_parts(work, 2400, 1 << 30, 1)
        assert seen.pop(threading.get_ident()) == os.sched_getaffinity(0)
        return list(seen.values())

    allowed, now = os.sched_getaffinity(0), threads._processor_now()
    assert now is not None
    assert now() in allowed
    for here in allowed:
        monkeypatch.setattr(threads, "_processor_now", lambda here=here: lambda: here)
        places()  # the first call starts the threads
        assert places() == [allowed - {here} or allowed] * 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_threads_are_moved_when_their_caller_is_or_may_run_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, moved = threads._Pool(1), []
    pool.submit(lambda: None).result()
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, places: moved.append(places))
    for here, allowed in ((0, {0, 1, 2}), (0, {0, 1, 2}), (0, {0, 1}), (0, {0}), (0, {0, 1, 2}), (2, {0, 1, 2})):
        monkeypatch.setattr(threads, "_processor_now", lambda here=here: lambda: here)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, allowed=allowed: allowed)
        pool.keep_off()
    assert moved == [{1, 2}, {1}, {1, 2}, {0, 1}]


LATE = """
import os, threading, time
os.environ["GPU_UPSAMPLE_NUM_THREADS"] = "3"
import numpy as np
import gpu_upsample as gu

x = np.arange(1200.0 * 1100).reshape(1200, 1100)

def late():
    threading.main_thread().join()
    print(np.array_equal(gu.resize(x, (2400, 2200)), expected))

expected = gu.resize(x, (2400, 2200))
threading.Thread(target=late).start()
"""


def test_a_thread_may_go_on_when_the_main_thread_has_ended() -> None:
    """The pool's threads are no more then."""
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
