"""What only a device shows: the host's share of a call, and calls captured in a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from statistics import median
from typing import Any

from benchmarks.cases import CASES, Call, Case, ConvTranspose, Imitation, Resample
from benchmarks.compare import make_inputs, tolerance
from benchmarks.figures import Figure, Measured
from benchmarks.peers import OURS, Job
from benchmarks.timing import FULL, QUICK, host_seconds

_CALLS = 200  # fewer than the queue of a stream holds, so that none waits for the device


def _job(case: Case) -> Job:
    job = OURS.builders[type(case.work)](case, *make_inputs(case, "cuda"))
    assert job is not None
    return job


def _host_cost(quick: bool) -> Measured:
    """Return the microseconds that the host spends on a call, into an output that is given: those of the slowest."""
    cupy = import_module("cupy")
    found = {}
    for method in ("nearest", "linear", "cubic"):
        run = _job(Case(method, (1, 3, 32, 32), "float32", "NCHW", Resample(method, (64, 64)))).run
        run()
        samples = []
        for _ in range((QUICK if quick else FULL).rounds):
            cupy.cuda.get_current_stream().synchronize()
            samples.append(1e6 * host_seconds(run, _CALLS))
        found[method] = median(samples)
    cupy.cuda.get_current_stream().synchronize()
    return max(found.values()), found


def _captured(quick: bool) -> Measured:
    """Return the part of the cases that a CUDA graph replays with the same result, and a 0 for every other."""
    given = [case for case in CASES if not isinstance(case.work, Call | Imitation)]  # whose output is given
    found = {case.name: float(_replays(_job(case.small() if quick else case), _apart(case))) for case in given}
    return sum(found.values()) / len(found), {name: kept for name, kept in found.items() if not kept}


def _apart(case: Case) -> float:
    """Return how far a replayed result may lie from another: where a graph holds no cuBLAS, sums have another order."""
    return tolerance(case) if isinstance(case.work, ConvTranspose) else 0.0


def _replays(job: Job, apart: float = 0.0) -> bool:
    """Say whether a call can be captured, and its graph writes the result anew."""
    cupy = import_module("cupy")
    cupy.cuda.get_current_stream().synchronize()  # the inputs are there
    with cupy.cuda.Stream(non_blocking=True) as stream:
        result = job.run()
        outputs = result if isinstance(result, tuple) else (result,)
        expected = [output.copy() for output in outputs]
        graph = _graph(stream, job.run)
        if graph is None:
            return False
        for output in outputs:
            output.fill(0)
        graph.launch(stream)
        stream.synchronize()
        return all(bool((abs(output - copy) <= apart).all()) for output, copy in zip(outputs, expected, strict=True))


def _graph(stream: Any, call: Callable[[], Any]) -> Any:
    """Return the graph of a call, or None if it cannot be captured."""
    stream.begin_capture()
    try:
        call()
        return stream.end_capture()
    except Exception:  # noqa: BLE001 - whatever was refused, there is no graph
        with suppress(Exception):
            stream.end_capture()
        return None


FIGURES = (
    Figure("host cost of a call", "µs", _host_cost, most=10),
    Figure("cases that a CUDA graph replays", "of all", _captured, least=1),
)
"""What is aimed at on a device, beside the table of cases."""
