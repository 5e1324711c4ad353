"""How the CPU shares work between threads."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from time import sleep
from typing import Any

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample.cpu import pool, team, threads
from gpu_upsample.cpu.record import ARGUMENTS, COST, FUNCTION, LEAST, ROOM, ROWS
from gpu_upsample.cpu.work import Work

NATIVE = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


def run_native(native: Any, rows: int, cost: int, least: int, room: int = 0, words: tuple[int, ...] = ()) -> None:
    """Let the threads call a function as if it were a kernel."""
    record = np.array([0] * ARGUMENTS + list(words), np.int64)
    record[FUNCTION] = ctypes.cast(native, ctypes.c_void_p).value
    record[ROWS], record[COST], record[LEAST], record[ROOM] = rows, cost, least, room
    Work((), record).run()


def run_in_parts(work: Callable[[int, int], Any], rows: int, cost: int, least: int) -> None:
    """Let the threads call a function of Python, which takes no arguments."""
    run_native(NATIVE(lambda first, last, words, scratch: work(first, last) and None), rows, cost, least)


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
    works = range(team._FIRST_WORK, team._FIRST_THREAD, team._WORK)
    assert not any(threads.pool_of(2).memory[place + team._OWNED] for place in works)


@pytest.mark.parametrize(
    ("cost", "most", "helpers"),
    [(19, 9, 0), (20, 9, 1), (39, 9, 2), (1000, 9, 3), (1000, 3, 2), (1000, 2, 1), (1000, 1, 0), (1000, 0, 0)],
)
def test_how_many_threads_help(cost: int, most: int, helpers: int) -> None:
    """None without ten bytes for each, the caller's thread, too, or without a part."""
    assert team.helpers_for(team.new_memory(3, 10, 0), cost, most) == helpers


def test_less_work_is_done_by_fewer_threads(set_variable: Any) -> None:
    """To wake a thread takes as long as to move half a megabyte."""
    set_variable("GPU_UPSAMPLE_NUM_THREADS", "4")
    numbers = []
    for half_megabytes in (0, 2, 3, 4, 5, 6, 100, 128):
        parts: list[int] = []
        run_in_parts(lambda first, last, parts=parts: parts.append(last - first), 1200, half_megabytes << 19, 1)
        assert sum(parts) == 1200
        numbers.append(len(parts))
    assert numbers == [1, 1, 6, 9, 12, 12, 12, 12]


def test_a_thread_that_is_late_has_nothing_to_do_and_nobody_waits_for_it(
    use_threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_threads(3)
    absent = threads.pool_of(3)
    monkeypatch.setattr(absent, "_start", lambda: None)
    team.look_for(absent.memory, 3)
    rows: list[int] = []
    run_in_parts(lambda first, last: rows.extend(range(first, last)), 100, 1 << 30, 1)
    assert rows == list(range(100))
    team.help_out(absent.memory, -1)
    assert len(rows) == 100


def test_every_sleeper_is_woken_once_and_only_if_too_few_look_for_work() -> None:
    """Or one that takes long to wake up would look for work over and over afterwards."""
    memory, native = team.new_memory(3, 1, 0), NATIVE(lambda first, last, words, scratch: None)
    function = ctypes.cast(native, ctypes.c_void_p).value
    memory[sleepers(memory)] = 1

    def woken(helpers: int) -> int:
        assert team.lead(memory, helpers, function, 0, 1, 1, 0, 0)
        awake = [place for place in sleepers(memory) if team._acquire(int(memory[place + team._LOCK]), 0)]
        assert not memory[awake].any()
        return len(awake)

    memory[team._LOOKING] = 2
    assert woken(2) == 0
    assert woken(3) == 1
    memory[team._LOOKING] = 0
    assert [woken(1), woken(3), woken(3)] == [1, 1, 0]


def sleepers(memory: Any) -> list[int]:
    """Return where it stands for each thread whether it is asleep."""
    return list(range(team._FIRST_THREAD, len(memory), team._THREAD))


def test_every_thread_has_memory_of_its_own(use_threads: Any) -> None:
    use_threads(4)
    met = threading.Barrier(4, timeout=60)
    seen: dict[int, set[int]] = {}
    taken: list[tuple[int, ...]] = []

    @NATIVE
    def native(first: int, last: int, arguments: int, scratch: int) -> None:
        taken.append(tuple((ctypes.c_int64 * 5).from_address(arguments)))
        is_new = threading.get_ident() not in seen
        seen.setdefault(threading.get_ident(), set()).add(scratch)
        if is_new:
            met.wait()

    run_native(native, 2400, 1 << 30, 1, room=640, words=(7, 8, 9, 10, 11))
    assert set(taken) == {(7, 8, 9, 10, 11)}
    places = sorted(place for (place,) in seen.values())
    assert np.diff(places).min() >= 640
    assert not any(place % 64 for place in places)


@pytest.mark.parametrize("number", [1, 2])
def test_the_memory_of_a_thread_begins_at_a_cache_line(use_threads: Any, number: int) -> None:
    use_threads(number)
    places: list[int] = []
    native = NATIVE(lambda first, last, words, scratch: places.append(scratch))
    for room in range(0, 256, 64):
        for count in range(20):
            run_native(native, 40, 1 << 30, 1, room, tuple(range(count)))
    assert not any(place % 64 for place in places)


def test_memory_that_is_not_there(use_threads: Any) -> None:
    """Nothing is run then."""
    use_threads(2)
    done: list[int] = []
    native = NATIVE(lambda first, last, words, scratch: done.append(first))
    with pytest.raises(MemoryError, match=f"no memory for the {1 << 50} bytes"):
        run_native(native, 40, 1 << 30, 1, room=1 << 50)
    assert not done


def test_more_works_than_there_is_room_for_are_done_alone(use_threads: Any) -> None:
    use_threads(2)
    rows: list[int] = []

    def nested(depth: int) -> None:
        """Do a work of four rows, each of which is another work."""

        def work(first: int, last: int) -> None:
            for row in range(first, last):
                if depth:
                    nested(depth - 1)
                else:
                    rows.append(row)

        run_in_parts(work, 4, 1 << 30, 1)

    callers = [threading.Thread(target=nested, args=(2,)) for _ in range(2 * team.WORKS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert sorted(rows) == sorted([0, 1, 2, 3] * 16 * len(callers))


def test_threads_end_with_their_pool() -> None:
    three = pool.Pool(3, 1)
    three.stand_apart()
    held = list(three._threads)
    assert all(thread.is_alive() for thread in held)
    del three
    for thread in held:
        thread.join(60)
        assert not thread.is_alive()


def test_threads_end_if_their_start_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        if len(started) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    three = pool.Pool(3, 1)
    with pytest.raises(KeyboardInterrupt):
        three.stand_apart()
    del three
    for thread in started:
        thread.join(60)
        assert not thread.is_alive()


def test_work_is_done_where_no_thread_can_be_started(use_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use_threads(3)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    rows: list[int] = []
    run_in_parts(lambda first, last: rows.extend(range(first, last)), 100, 1 << 30, 1)
    assert rows == list(range(100))
    assert not threads.pool_of(3)._threads


def test_a_pool_serves_works_of_all_sizes(set_variable: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variable("GPU_UPSAMPLE_NUM_THREADS", "4")
    started: list[threading.Thread] = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread), start(thread)))
    run_in_parts(lambda first, last: None, 1200, 1 << 20, 1)
    assert not started
    for megabytes in (5, 10, 5, 100, 8):
        run_in_parts(lambda first, last: None, 1200, megabytes << 20, 1)
    assert len(started) == 3


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_threads_help_whether_they_look_for_work_or_sleep(use_threads: Any, pause: float) -> None:
    use_threads(2)
    numbers = []
    for _ in range(20):
        helped: set[int] = set()

        def work(first: int, last: int, helped: set[int] = helped) -> None:
            helped.add(threading.get_ident())
            sleep(0.005)

        sleep(pause)
        run_in_parts(work, 4, 1 << 30, 1)
        numbers.append(len(helped))
    assert numbers.count(2) > 10  # one that is about to fall asleep may miss a work


@pytest.mark.parametrize("delay", [0.0, 3e-5, 1e-3])
def test_a_program_ends_in_good_order_while_its_threads_look_for_work(delay: float) -> None:
    done = subprocess.run([sys.executable, "-c", ENDING, str(delay)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_threads_keep_off_the_processor_of_their_caller(use_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux may wake them on it, where they wait for each other while another processor has nothing to do."""
    use_threads(3)

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
    assert now() in allowed
    told = ctypes.CFUNCTYPE(ctypes.c_int)
    for here in allowed:
        ask = told(lambda here=here: here)
        monkeypatch.setattr(pool, "processor_now", lambda ask=ask: ask)
        threads.pool_of.cache_clear()
        assert places() == [allowed - {here} or allowed] * 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_threads_are_moved_when_their_caller_is(use_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use_threads(2)
    moved, caller = [], [0]
    ask = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: caller[0])
    monkeypatch.setattr(pool, "processor_now", lambda: ask)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, places: moved.append(places))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    for caller[0] in (0, 0, 2, 2, 0):
        run_in_parts(lambda first, last: None, 100, 1 << 30, 1)
    assert moved == [{1, 2}, {0, 1}, {1, 2}]
    allowed = {1}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed)
    caller[0] = 1
    run_in_parts(lambda first, last: None, 100, 1 << 30, 1)
    assert len(moved) == 3  # there is no other
    allowed = {0, 1}
    for _ in range(2):
        run_in_parts(lambda first, last: None, 100, 1 << 30, 1)
    assert moved[3:] == [{0}]


def test_threads_start_where_nothing_tells_processors_apart(use_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use_threads(2)
    ask = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: -1)
    for told in (ask, None):
        monkeypatch.setattr(pool, "processor_now", lambda told=told: told)
        threads.pool_of.cache_clear()
        run_in_parts(lambda first, last: None, 100, 1 << 30, 1)
        assert len(threads.pool_of(2)._threads) == 1


def test_a_call_may_come_while_threads_start(use_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from the handler of a signal."""
    use_threads(3)
    start, rows = threading.Thread.start, list[int]()

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        run_in_parts(lambda first, last: rows.extend(range(first, last)), 100, 1 << 30, 1)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    run_in_parts(lambda first, last: rows.extend(range(first, last)), 100, 1 << 30, 1)
    assert sorted(rows) == sorted(3 * list(range(100)))
    assert len(threads.pool_of(3)._threads) == 2


def test_a_block_sets_the_number_of_threads_of_its_own_calls(use_threads: Any) -> None:
    use_threads(2)

    def number() -> int:
        parts: list[int] = []
        run_in_parts(lambda first, last: parts.append(first), 1200, 1 << 30, 1)
        return len(parts) // 3 or 1  # three parts for each thread

    found = []
    with gu.use_threads(np.int8(4)):
        found.append(number())
        with gu.use_threads(1):
            found.append(number())
            other = threading.Thread(target=lambda: found.append(number()))
            other.start()
            other.join(60)
        found.append(number())
    found.append(number())
    assert found == [4, 1, 2, 4, 2]


@pytest.mark.parametrize(
    ("number", "error"), [(0, ValueError), (-2, ValueError), (1025, ValueError), (1.5, TypeError), ("2", TypeError)]
)
def test_a_block_with_an_unusable_number_of_threads(number: Any, error: type[Exception]) -> None:
    message = f"number must be an integer from 1 to 1024, got {number!r}"
    with pytest.raises(error, match=message), gu.use_threads(number):
        raise AssertionError("entered")


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
