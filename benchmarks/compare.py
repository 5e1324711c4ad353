"""One case against every peer: first whether they compute the same, then how long they take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.cases import Case
from benchmarks.peers import OURS, Peer
from benchmarks.timing import CLOCKS, Effort, interleaved
from benchmarks.yardstick import copying

Record = dict[str, Any]

TOLERANCES = {"uint8": 1.0, "float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-5}
"""dtype -> how far two results may lie apart, for the inputs of `make_input`; a selection must be equal."""

_COPY = "copy"


def tolerance(case: Case) -> float:
    """Return how far results may lie apart."""
    if case.tolerance is not None:
        return case.tolerance
    return 0.0 if case.work.method == "nearest" else TOLERANCES[case.dtype]


def make_input(case: Case, place: str) -> Any:
    """Return noise of the case's shape and dtype, on the host or on the device.

    8-bit noise keeps away from both ends of the range: Pillow and torch saturate between their passes, so that
    an overshoot is cut off twice, which shifts results by up to 30 levels.
    """
    random = np.random.default_rng(0)
    if case.dtype == "uint8":
        x = random.integers(64, 192, case.shape, dtype=np.uint8)
    else:
        dtype = import_module("ml_dtypes").bfloat16 if case.dtype == "bfloat16" else case.dtype
        x = random.random(case.shape, dtype=np.float32).astype(dtype)
    return import_module("cupy").asarray(x) if place == "cuda" else x


def compare(case: Case, peers: Iterable[Peer], place: str, effort: Effort) -> Record:
    """Return what a case shows.

    Parameters
    ----------
    case : Case
        The case.
    peers : iterable of Peer
        Those that can take part.
    place : {"cpu", "cuda"}
        The backend of ours.
    effort : Effort
        How much to measure.

    Returns
    -------
    dict
        JSON-ready. Each peer that offers the operation has a status: "compared", "differs" from our result by
        more than the tolerance (and is not timed), or "fails".
    """
    record: Record = {
        "name": case.name,
        "shape": case.shape,
        "dtype": case.dtype,
        "layout": case.layout,
        "operation": {"kind": type(case.work).__name__, **asdict(case.work)},
        "tolerance": tolerance(case),
    }
    try:
        x = make_input(case, place)
        job = OURS.builders[type(case.work)](case, x)
        assert job is not None
        ours = _on_host(job.read(job.run()))
    except Exception as error:  # noqa: BLE001 - the other cases are still worth their time
        return record | {"error": _said(error)}
    calls, found = {OURS.name: job.run, _COPY: copying(case.copied, x)}, {}
    for peer in peers:
        build = peer.builders.get(type(case.work))
        try:
            theirs = None if build is None else build(case, x)
            if theirs is None:
                continue
            difference = _difference(ours, _on_host(theirs.read(theirs.run())))
        except Exception as error:  # noqa: BLE001 - each library has its own way of refusing a dtype
            found[peer.name] = {"status": "fails", "reason": _said(error)}
            continue
        same = difference <= tolerance(case)  # False for NaN
        found[peer.name] = {"status": "compared" if same else "differs", "difference": difference}
        if same:
            calls[peer.name] = theirs.run

    times = interleaved(calls, CLOCKS[place], effort)
    base = times[OURS.name].median
    for name, entry in found.items():
        if name in times:
            entry |= {**asdict(times[name]), "ratio": times[name].median / base}
    return record | {
        "ours": asdict(times[OURS.name]),
        "copy": asdict(times[_COPY]),
        "copy_fraction": times[_COPY].median / base,
        "peers": found,
    }


def _on_host(array: Any) -> np.ndarray:
    return array.get() if hasattr(array, "get") else np.asarray(array)


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        raise ValueError(f"result has shape {theirs.shape}, ours {ours.shape}")
    gap = np.subtract(theirs.astype(np.float32), ours.astype(np.float32))
    return float(np.abs(gap, out=gap).max())


def _said(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"
