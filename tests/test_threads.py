"""How the CPU shares work between threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import weakref
from functools import lru_cache
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from gpu_upsample.cpu import mailbox, pool, threads
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


@pytest.mark.parametrize(
    ("rows", "lengths"), [(1600, [100] * 4 + [600] * 2), (12, [1] * 4 + [4] * 2), (5, [1] * 3 + [2])]
)
def test_the_last_parts_are_short(use_threads: Any, rows: int, lengths: list[int]) -> None:
    """So no thread is left with much to do when the others are done."""
    use_threads(2)
    parts: list[int] = []
    run_in_parts(lambda first, last: parts.append(last - first), rows, 1 << 30, 1)
    assert sorted(parts) == lengths


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


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="threads get no signals here")
def test_an_interruption_waits_until_no_thread_is_at_work_any_more(
    use_threads: Any, request: pytest.FixtureRequest
) -> None:
    """Or they would write into arrays that the caller uses for something else by then."""
    use_threads(2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a process of several may ignore
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    begun, done = threading.Event(), threading.Event()

    def work(first: int, last: int) -> None:
        if threading.current_thread() is threading.main_thread():
            begun.wait(60)
            return
        begun.set()
        for _ in range(3):
            sleep(0.02)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]
        sleep(0.05)
        done.set()

    with pytest.raises(KeyboardInterrupt):
        run_in_parts(work, 2400, 1 << 30, 1)
    assert done.is_set()


def test_less_work_is_done_by_fewer_threads_in_fewer_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """To wake a thread takes as long as to move a megabyte, and between two parts it may wait for the GIL."""
    monkeypatch.setenv("GPU_UPSAMPLE_NUM_THREADS", "4")
    numbers = []
    for megabytes in (0, 2, 3, 4, 5, 6, 100, 127, 128):
        parts: list[int] = []
        run_in_parts(lambda first, last, parts=parts: parts.append(last - first), 1200, megabytes << 20, 1)
        assert sum(parts) == 1200
        numbers.append(len(parts))
    assert numbers == [1, 1, 2, 3, 4, 4, 4, 4, 12]


def test_a_thread_that_is_late_has_nothing_to_do_and_nobody_waits_for_it(
    use_threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_threads(3)
    asked: list[Any] = []
    monkeypatch.setattr(pool.Pool, "ask", lambda _, work: asked.append(work))
    rows: list[int] = []
    run_in_parts(lambda first, last: rows.extend(range(first, last)), 100, 1 << 30, 1)
    assert rows == list(range(100))
    for work in asked:
        work()
    assert len(asked) == 2
    assert len(rows) == 100


def test_threads_keep_no_array_when_the_work_is_done(use_threads: Any) -> None:
    use_threads(3)
    x = np.zeros(3)
    run_in_parts(lambda first, last, x=x: None, 2400, 1 << 30, 1)
    alive = weakref.ref(x)
    del x
    deadline = monotonic() + 60
    while alive() is not None and monotonic() < deadline:
        sleep(0.01)  # a thread that came late is about to let go
    assert alive() is None


def test_threads_end_with_their_pool() -> None:
    three = pool.Pool(3)
    held = list(three._threads)
    assert all(thread.is_alive() for thread in held)
    del three
    for thread in held:
        thread.join(60)
        assert not thread.is_alive()


def test_threads_end_if_their_start_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them is not known as a thread of the pool then."""
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        if len(started) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.Pool(3)
    for thread in started:
        thread.join(60)
        assert not thread.is_alive()


def test_work_is_done_where_no_thread_can_be_started(use_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use_threads(3)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "pool_of", lru_cache(pool.Pool))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    x, rows = np.zeros(3), []
    run_in_parts(lambda first, last, x=x: rows.extend(range(first, last)), 100, 1 << 30, 1)
    assert rows == list(range(100))
    alive = weakref.ref(x)
    del x
    assert alive() is None


def test_an_array_is_let_go_although_a_thread_was_too_late(use_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a pool that is busy with the long work of another caller."""
    use_threads(3)
    asked: list[Any] = []
    monkeypatch.setattr(pool.Pool, "ask", lambda _, work: asked.append(work))
    x = np.zeros(3)
    run_in_parts(lambda first, last, x=x: None, 100, 1 << 30, 1)
    alive = weakref.ref(x)
    del x
    assert len(asked) == 2
    assert alive() is None


def test_a_pool_serves_works_of_all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_UPSAMPLE_NUM_THREADS", "4")
    built: list[int] = []
    monkeypatch.setattr(threads, "pool_of", lru_cache(maxsize=1)(lambda n: built.append(n) or pool.Pool(n)))
    for megabytes in (5, 10, 5, 100, 8):
        run_in_parts(lambda first, last: None, 1200, megabytes << 20, 1)
    assert built == [3]


def test_a_mailbox_hands_items_over_in_order_whether_its_reader_looks_or_sleeps() -> None:
    there: mailbox.Mailbox[int] = mailbox.Mailbox()
    back: mailbox.Mailbox[int] = mailbox.Mailbox()

    def answer() -> None:
        while (item := there.get()) >= 0:
            back.put(item + 1)

    thread = threading.Thread(target=answer)
    thread.start()
    for pause in (0.0, 0.05):  # the reader looks; the reader has fallen asleep
        for item in range(20):
            sleep(pause)
            there.put(item)
            there.put(100 + item)
            assert (back.get(), back.get()) == (item + 1, 101 + item)
    there.put(-1)
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("delay", [0.0, 3e-5, 1e-3])
def test_a_program_ends_in_good_order_while_its_threads_look_for_work(delay: float) -> None:
    done = subprocess.run([sys.executable, "-c", ENDING, str(delay)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_threads_keep_off_the_processor_of_their_caller(use_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux may wake them on it, where they wait for each other while another processor has nothing to do."""
    use_threads(3)
    monkeypatch.setattr(threads, "pool_of", lru_cache(pool.Pool))

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

    allowed, now = os.sched_getaffinity(0), pool.processor_now()
    assert now is not None
    assert now() in allowed
    for here in allowed:
        monkeypatch.setattr(pool, "processor_now", lambda here=here: lambda: here)
        places()  # the first call starts the threads
        assert places() == [allowed - {here} or allowed] * 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_threads_are_moved_when_their_caller_is_or_may_run_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    threads_beside, moved = pool.Pool(1), []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, places: moved.append(places))
    for here, allowed in ((0, {0, 1, 2}), (0, {0, 1, 2}), (0, {0, 1}), (0, {0}), (0, {0, 1, 2}), (2, {0, 1, 2})):
        monkeypatch.setattr(pool, "processor_now", lambda here=here: lambda: here)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, allowed=allowed: allowed)
        threads_beside.keep_off()
    assert moved == [{1, 2}, {1}, {1, 2}, {0, 1}]


ENDING = """
import os, sys, time
os.environ["GPU_UPSAMPLE_NUM_THREADS"] = "5"
import numpy as np
import gpu_upsample as gu

gu.resize(np.ones((1100, 1200), np.float32), (2200, 2400))
print("done")
time.sleep(float(sys.argv[1]))
"""


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
