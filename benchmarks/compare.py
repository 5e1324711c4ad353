"""One case against every peer: first whether they compute the same, then how long they take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from importlib import import_module
from math import prod
from typing import Any

import numpy as np

from benchmarks.cases import Case, ConvTranspose, ConvTransposeBackward, MaxPoolBackward, MaxUnpool
from benchmarks.device_targets import device_targets
from benchmarks.peers import OURS, Peer
from benchmarks.roofline import bytes_moved, floor
from benchmarks.targets import Record, judge, said
from benchmarks.timing import CLOCKS, Call, Effort, interleaved
from benchmarks.yardstick import copying

TOLERANCES = {"uint8": 1.0, "uint16": 1.0, "float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-5}
"""dtype -> how far two results may lie apart, for the inputs of `make_inputs`; where samples only move, none."""

_COPY = "copy"


def tolerance(case: Case) -> float:
    """Return how far results may lie apart."""
    if case.tolerance is not None:
        return case.tolerance
    return 0.0 if case.work.exact else TOLERANCES[case.dtype]


def make_inputs(case: Case, place: str) -> tuple[Any, ...]:
    """Return noise of the case's shape and dtype, and what else its operation takes, on the host or on the device.

    Noise of integers keeps away from both ends of the range: Pillow and torch saturate between their passes, so that
    an overshoot is cut off twice, which shifts 8-bit results by up to 30 levels.
    """
    random = np.random.default_rng(0)
    if case.dtype.startswith("uint"):
        levels = int(np.iinfo(case.dtype).max) + 1
        x = random.integers(levels // 4, levels // 4 * 3, case.shape, dtype=case.dtype)
    else:
        dtype = import_module("ml_dtypes").bfloat16 if case.dtype == "bfloat16" else case.dtype
        x = random.random(case.shape, dtype=np.float32).astype(dtype)
    inputs = (x, *_further_inputs(case, random))
    return tuple(map(import_module("cupy").asarray, inputs)) if place == "cuda" else inputs


def _further_inputs(case: Case, random: np.random.Generator) -> tuple[np.ndarray, ...]:
    work = case.work
    if isinstance(work, ConvTranspose):
        shape = (case.channels, work.channels // work.groups, *[work.kernel] * len(case.lengths))
        weight = random.random(shape, dtype=np.float32) - 0.5
        # As networks are initialised: results are of the size of the inputs, whatever the channels.
        weight /= np.float32(case.channels / work.groups * (work.kernel / work.stride) ** len(case.lengths)) ** 0.5
        if not isinstance(work, ConvTransposeBackward):
            return weight.astype(case.dtype), random.random(work.channels, dtype=np.float32).astype(case.dtype)
        # So are the sums over all windows.
        grad = random.random(case.shape_out, dtype=np.float32) - 0.5
        grad /= np.float32(prod(case.shape) / case.channels) ** 0.5
        return weight.astype(case.dtype), grad.astype(case.dtype)
    if isinstance(work, MaxUnpool):
        return (_places(case, random, work.kernel, work.kernel, 0),)
    if isinstance(work, MaxPoolBackward):
        return (_places(case, random, work.kernel, work.stride, work.padding),)
    return ()


def _places(case: Case, random: np.random.Generator, kernel: int, stride: int, padding: int) -> np.ndarray:
    """Return one place in every window, counted along the output's rows."""
    rank = len(case.lengths)
    offsets = np.unravel_index(random.integers(0, kernel**rank, case.shape), (kernel,) * rank)
    places = np.indices(case.shape)[-rank:] * stride - padding + np.stack(offsets)
    inside = [np.clip(place, 0, n - 1) for place, n in zip(places, case.lengths_out, strict=True)]
    return np.ravel_multi_index(tuple(inside), case.lengths_out).astype(np.int64)


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
        more than the tolerance (and is not timed), or "fails". Each target has a verdict.
    """
    record = _measured(case, peers, place, effort)
    targets = case.targets if place == "cpu" else device_targets(case)
    return record | {"verdicts": judge(record, targets)}


def _measured(case: Case, peers: Iterable[Peer], place: str, effort: Effort) -> Record:
    record: Record = {
        "name": case.name,
        "shape": case.shape,
        "dtype": case.dtype,
        "layout": case.layout,
        "operation": {"kind": type(case.work).__name__, **asdict(case.work)},
        "tolerance": tolerance(case),
    }
    try:
        inputs = make_inputs(case, place)
        job = OURS.builders[type(case.work)](case, *inputs)
        assert job is not None
        ours = _on_host(job.read(job.run()))
        calls: dict[str, Call] = {OURS.name: job.run, _COPY: copying(case.copied, inputs[0])}
    except Exception as error:  # noqa: BLE001 - the other cases are still worth their time
        return record | {"error": said(error)}
    found: dict[str, Record] = {}
    for peer in peers:
        build = peer.builders.get(type(case.work))
        try:
            theirs = None if build is None else build(case, *inputs)
            if theirs is None:
                continue
            difference = _difference(ours, _on_host(theirs.read(theirs.run())))
        except Exception as error:  # noqa: BLE001 - each library has its own way of refusing a dtype
            found[peer.name] = {"status": "fails", "reason": said(error)}
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
    moved, copy = bytes_moved(inputs, ours), times[_COPY].median
    least = floor(moved, case.copied * inputs[0].itemsize, copy)
    return record | {
        "ours": asdict(times[OURS.name]),
        "copy": asdict(times[_COPY]),
        "copy_ratio": base / copy,
        "bytes": moved,
        "floor_seconds": least,
        "floor_fraction": least / base,
        "peers": found,
    }


def _on_host(result: Any) -> tuple[np.ndarray, ...]:
    """Return the arrays of a result: one, or several of pooling with indices and of gradients."""
    arrays = result if isinstance(result, tuple) else (result,)
    return tuple(array.get() if hasattr(array, "get") else np.asarray(array) for array in arrays)


def _difference(ours: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> float:
    return float(np.max([_gap(*pair) for pair in zip(ours, theirs, strict=True)]))  # NaN if one is NaN


def _gap(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        raise ValueError(f"result has shape {theirs.shape}, ours {ours.shape}")
    wide = np.float64 if ours.dtype == np.int64 else np.float32
    gap = np.subtract(theirs.astype(wide), ours.astype(wide))
    return float(np.abs(gap, out=gap).max())
