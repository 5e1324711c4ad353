"""The benchmark: what it writes, whom it compares, and whom it does not. No time is asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from benchmarks import __main__ as program
from benchmarks import device, report, vary
from benchmarks.cases import CASES, Case, ConvTransposeBackward, MaxPoolBackward, MaxUnpool, Resample
from benchmarks.compare import compare, make_inputs
from benchmarks.device_targets import device_targets
from benchmarks.figures import Figure
from benchmarks.naive import bilinear
from benchmarks.peers import OURS, PEERS, Job, Peer
from benchmarks.roofline import floor
from benchmarks.targets import at_least, at_most, judge
from benchmarks.timing import QUICK, Effort, interleaved
from gpu_upsample.cpu import threads as threads_of_the_cpu

ROOT = Path(__file__).resolve().parent.parent
TIMING = {"median", "low", "high", "rounds", "calls"}
WORKS = {type(case.work) for case in CASES}
SMALL = [case.small() for case in CASES]
PRESENT = [peer for peer in PEERS if "cpu" in peer.places and peer.missing("cpu") is None]


def case_named(start: str) -> Case:
    return next(case for case in SMALL if case.name.startswith(start))


def planted(result: Callable[[np.ndarray], Any]) -> Peer:
    """Return a peer that computes what we do, and then changes it."""

    def build(case: Case, *inputs: np.ndarray) -> Job | None:
        job = OURS.builders[type(case.work)](case, *inputs)
        assert job is not None

        def read(out: Any) -> Any:
            return (out[0], result(np.array(out[1]))) if isinstance(out, tuple) else result(np.array(out))

        return Job(job.run, read)

    return Peer("planted", "numpy", dict.fromkeys(WORKS, build))


def shifted(out: np.ndarray) -> np.ndarray:
    out.flat[-1] += 1
    return out


def refused(_out: np.ndarray) -> np.ndarray:
    raise RuntimeError("not implemented for 'Half'\nat some line")


# ---- the table ----------------------------------------------------------------------------------------------
def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({case.name for case in SMALL}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_small_case_is_the_same_case(case: Case) -> None:
    small = case.small()
    assert max(small.shape) <= 256
    assert small.enlarges_evenly == case.enlarges_evenly
    axes = [axis for axis, letter in enumerate(case.layout) if letter != "N"]
    for axis in axes:
        ratio, small_ratio = (c.shape_out[axis] / c.shape[axis] for c in (case, small))
        assert small_ratio == pytest.approx(ratio, rel=0.1)


def test_every_operator_has_a_row_and_builders() -> None:
    torch = next(peer for peer in PEERS if peer.name == "torch")
    assert set(OURS.builders) == set(torch.builders) == WORKS


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_our_result_has_the_shape_of_the_case(case: Case) -> None:
    x, *others = make_inputs(case, "cpu")
    job = OURS.builders[type(case.work)](case, x, *others)
    assert job is not None
    result = job.read(job.run())
    shapes = {np.shape(array) for array in (result if isinstance(result, tuple) else (result,))}
    if isinstance(case.work, ConvTransposeBackward):
        weight, grad_output = others
        assert grad_output.shape == case.shape_out
        assert shapes == {x.shape, weight.shape, (case.work.channels,)}
    else:
        assert shapes == {case.shape_out}


def test_an_unpooled_sample_stays_in_its_window() -> None:
    case = next(case for case in SMALL if isinstance(case.work, MaxUnpool))
    x, indices = make_inputs(case, "cpu")
    assert indices.shape == x.shape
    rows, columns = np.unravel_index(indices, case.lengths_out)
    place = np.indices(x.shape)
    assert np.array_equal(rows // case.work.kernel, place[-2])
    assert np.array_equal(columns // case.work.kernel, place[-1])
    assert len(np.unique(indices % case.work.kernel)) == case.work.kernel


def test_a_place_of_overlapping_windows_lies_in_its_window() -> None:
    case = next(case for case in SMALL if isinstance(case.work, MaxPoolBackward) and case.work.padding)
    grad, indices = make_inputs(case, "cpu")
    kernel, stride, padding = case.work.kernel, case.work.stride, case.work.padding
    for places, windows in zip(np.unravel_index(indices, case.lengths_out), np.indices(grad.shape)[-2:], strict=True):
        taps = places - (windows * stride - padding)
        assert set(np.unique(taps)) == set(range(kernel))


def test_every_library_agrees_with_us_on_every_case() -> None:
    """This guards the builders: a peer that is asked for something else would quietly drop out of the table."""
    once = Effort(rounds=2, sample=0.0, warm_up=0.0, budget=0.0)
    found = [compare(case, PRESENT, "cpu", once) for case in SMALL]
    assert [record["error"] for record in found if "error" in record] == []
    disagreeing = [
        (record["name"], name, entry)
        for record in found
        for name, entry in record["peers"].items()
        if entry["status"] != "compared"
    ]
    assert disagreeing == []
    assert [len(record["verdicts"]) for record in found] == [len(case.targets) for case in SMALL]
    compared = {name for record in found for name in record["peers"]}
    assert compared == {peer.name for peer in PRESENT}


# ---- one case -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("change", [shifted, lambda out: out * np.nan])
def test_a_wrong_peer_differs_and_is_not_timed(change: Callable[[np.ndarray], np.ndarray]) -> None:
    entry = compare(case_named("linear x2 float32 NCHW"), [planted(change)], "cpu", QUICK)["peers"]["planted"]
    assert entry["status"] == "differs"
    assert "ratio" not in entry


def test_a_wrong_nearest_neighbour_differs_by_any_amount() -> None:
    case = case_named("nearest x2 float32 NCHW")
    peer = planted(lambda out: np.nextafter(out, np.float32(2)))
    assert compare(case, [peer], "cpu", QUICK)["peers"]["planted"]["status"] == "differs"


@pytest.mark.parametrize("name", ["DCGAN", "max_pool", "max_unpool", "pixel_shuffle"])
def test_a_wrong_operator_differs(name: str) -> None:
    """Of pooling, only the last index is wrong, by one."""
    case = case_named(name)
    found = compare(case, [planted(shifted), replace(planted(lambda out: out), name="good")], "cpu", QUICK)["peers"]
    assert found["planted"]["status"] == "differs"
    assert found["planted"]["difference"] == pytest.approx(1, abs=1e-3)
    assert found["good"]["status"] == "compared"
    assert found["good"]["difference"] == 0


@pytest.mark.parametrize("change", [refused, lambda out: out[..., 1:]])
def test_a_failing_peer_does_not_end_the_run(change: Callable[[np.ndarray], np.ndarray]) -> None:
    peers = [planted(change), replace(planted(lambda out: out), name="good")]
    found = compare(case_named("linear x2 float32 NCHW"), peers, "cpu", QUICK)["peers"]
    assert found["planted"]["status"] == "fails"
    assert "\n" not in found["planted"]["reason"]
    assert found["good"]["status"] == "compared"
    assert found["good"]["difference"] == 0


def test_a_peer_that_lacks_the_operation_is_left_out() -> None:
    peers = [Peer("other", "numpy", {}), Peer("none", "numpy", {Resample: lambda _case, _x: None})]
    assert compare(SMALL[0], peers, "cpu", QUICK)["peers"] == {}


@pytest.mark.parametrize("library", ["Pillow", "OpenCV", "torch"])
def test_an_imitation_is_compared_with_its_original_alone(library: str) -> None:
    assert set(compare(case_named(f"like {library}"), PRESENT, "cpu", QUICK)["peers"]) == {library}


def test_our_own_failure_is_recorded() -> None:
    case = replace(SMALL[0], work=replace(SMALL[0].work, method="unknown"))
    assert compare(case, PRESENT, "cpu", QUICK)["error"].startswith("ValueError: method must be one of")


# ---- targets ------------------------------------------------------------------------------------------------
def test_bounds_are_kept_at_the_bound() -> None:
    assert [at_least("torch", 2).verdict(value)["met"] for value in (1.99, 2.0, 3.0)] == [False, True, True]
    assert [at_most("copy", 1.3).verdict(value)["met"] for value in (1.31, 1.3, 1.0)] == [False, True, True]
    assert [at_most("copy", 1.3).verdict(value)["met"] for value in (None, float("nan"))] == [False, False]


def test_what_is_judged() -> None:
    """A peer that is absent or refuses is no failure of ours; one that computes something else is."""
    record = {
        "ours": {"median": 20e-6},
        "copy_ratio": 1.2,
        "floor_fraction": 0.8,
        "peers": {
            "torch": {"status": "compared", "ratio": 2.5},
            "OpenCV": {"status": "differs"},
            "Pillow": {"status": "fails"},
        },
    }
    targets = (
        at_least("torch", 3), at_most("copy", 1.3), at_least("floor", 0.7), at_most("µs", 25), at_least("OpenCV", 1),
        at_least("Pillow", 3), at_least("cupyx", 1),
    )  # fmt: skip
    found = judge(record, targets)
    assert [(verdict["of"], verdict["met"]) for verdict in found] == [
        ("torch", False), ("copy", True), ("floor", True), ("µs", True), ("OpenCV", False),
    ]  # fmt: skip
    assert found[3]["value"] == pytest.approx(20)
    assert [verdict["met"] for verdict in judge({"error": "no"}, targets)] == [False] * len(targets)


def test_the_time_of_moving_bytes() -> None:
    """A copy of 100 bytes, which reads and writes 100 each, in 2 seconds: 100 bytes a second."""
    assert floor(moved=125, copied=100, copy_seconds=2.0) == pytest.approx(1.25)


def test_the_bytes_of_a_case() -> None:
    """Pooling 3 x 3 by 2 of 8 x 4 x 8 x 8: inputs, values of 4 bytes and indices of 8."""
    case = case_named("max_pool 3x3")
    record = compare(case, [], "cpu", QUICK)
    assert record["bytes"] == 8 * 4 * (64 * 4 + 16 * (4 + 8))
    assert record["floor_seconds"] == pytest.approx(record["bytes"] / (2 * 8 * 4 * 64 * 4 / record["copy"]["median"]))


def bounds(start: str) -> dict[str, float]:
    case = next(case for case in CASES if case.name.startswith(start))
    return {target.of: target.bound for target in case.targets}


def test_the_targets_of_some_cases() -> None:
    assert bounds("cubic x2 float32 NCHW 1x3x1080") == {"torch": 10, "copy": 1.6}
    assert bounds("lanczos4 x2") == {"OpenCV": 1}
    assert bounds("linear x0.61") == {"torch": 1.2}
    assert bounds("cubic antialias to 224x224") == {"Pillow": 3, "torch": 1}
    assert bounds("cubic x2 uint16") == bounds("like ") == {}
    assert bounds("interpolate()") == {"µs": 25, "torch": 2}
    assert sum(len(case.targets) for case in CASES) > 50
    assert all(target.least == (target.of not in ("copy", "µs")) for case in CASES for target in case.targets)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("linear x2 float32 NCHW 1x3x1080", {"floor": 0.85, "torch": 3}),
        ("nearest x2 float16", {"floor": 0.85, "torch": 1}),
        ("linear x2 bfloat16", {"torch": 1}),
        ("cubic x2 float32 NHWC", {"floor": 0.75, "torch": 1}),
        ("cubic x1.37", {"floor": 0.75, "torch": 3}),
        ("linear x2 backward", {"floor": 0.75, "torch": 1}),
        ("cubic antialias to 270", {"floor": 0.7, "torch": 1}),
        ("cubic antialias to 224", {"floor": 0.6, "torch": 1}),
        ("linear x2 float32 NCDHW", {"floor": 0.85, "torch": 1}),
        ("DCGAN", {"torch": 1}),
        ("max_unpool", {"torch": 1}),
        ("interpolate()", {}),
        ("like Pillow", {}),
    ],
)
def test_the_targets_on_a_device(start: str, expected: dict[str, float]) -> None:
    case = next(case for case in CASES if case.name.startswith(start))
    assert {target.of: target.bound for target in device_targets(case)} == expected


def test_a_figure_and_its_failure() -> None:
    figure = Figure("ours", "ms", lambda quick: (3.0 if quick else 0.0, {"a": 1.0}), most=2)
    record = figure.record(True)
    assert (record["value"], record["details"], record["verdicts"][0]["met"]) == (3.0, {"a": 1.0}, False)
    assert figure.record(False)["verdicts"][0]["met"]
    broken = Figure("ours", "times", lambda _quick: (1 / 0, {}), least=2).record(True)
    assert broken["error"] == "ZeroDivisionError: division by zero"
    assert [verdict["met"] for verdict in broken["verdicts"]] == [False]


def test_figures_have_names_and_targets_of_their_own() -> None:
    for place, figures in program.FIGURES.items():
        names = [figure.name for figure in figures] + [case.name for case in CASES]
        assert len(set(names)) == len(names)
        assert all(figure.targets for figure in figures if place == "cpu" or "first result" not in figure.name)


def test_the_figures_can_be_measured() -> None:
    before = dict(os.environ)
    found = [figure.record(True) for figure in program.FIGURES["cpu"]]
    assert [record["error"] for record in found if "error" in record] == []
    assert all(record["value"] > 0 for record in found)
    assert dict(os.environ) == before


def test_the_naive_kernel_enlarges() -> None:
    """In Numba's simulator, which must be chosen before Numba is imported."""
    code = """
import numpy as np
from benchmarks.naive import launcher
x = np.random.default_rng(0).random((2, 5, 7), dtype=np.float32)
out = np.empty((2, 10, 13), np.float32)
launcher(x, out)()
from gpu_upsample import resize
assert abs(out - resize(x, (10, 13), axes=(1, 2), method="linear")).max() < 1e-6
"""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_naive_kernel_compiles() -> None:
    cuda = pytest.importorskip("numba.cuda")
    pytest.importorskip("numba_cuda")
    from numba import float32

    planes = float32[:, :, ::1]
    text, _ = cuda.compile(bilinear, (planes, planes), cc=(9, 0), device=False, abi="numba")
    assert ".entry" in text


class Recorder:
    """Stands for CuPy and for its stream: what is called between begin and end is the graph, and does not run."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.cuda, self.refuses, self.capturing, self.graph = self, refuses, False, []
        self.Stream = lambda non_blocking: self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        assert not self.capturing

    def get_current_stream(self) -> Recorder:
        return self

    def synchronize(self) -> None:
        assert not self.capturing

    def begin_capture(self) -> None:
        self.capturing = True

    def end_capture(self) -> Recorder:
        self.capturing = False
        return self

    def launch(self, _stream: object) -> None:
        for call in self.graph:
            call()

    def queue(self, call: Callable[[], None]) -> None:
        if self.capturing and self.refuses:
            raise RuntimeError("operation not permitted when stream is capturing")
        if self.capturing:
            self.graph.append(call)
        else:
            call()


@pytest.mark.parametrize(
    ("outside", "refuses", "replayed"), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_what_a_graph_replays(monkeypatch: pytest.MonkeyPatch, outside: bool, refuses: bool, replayed: bool) -> None:
    """A call that computes beside the stream is not in the graph, and one that is refused has none."""
    cupy, outputs = Recorder(refuses=refuses), (np.zeros(3), np.zeros(2, int))
    monkeypatch.setattr(device, "import_module", lambda _name: cupy)

    def fill() -> None:
        for output in outputs:
            output.fill(7)

    def run() -> tuple[np.ndarray, ...]:
        if outside:
            fill()
        else:
            cupy.queue(fill)
        return outputs

    assert device._replays(Job(run)) is replayed


# ---- timing -------------------------------------------------------------------------------------------------
def test_calls_take_turns() -> None:
    turns: list[str] = []

    def clock(call: Callable[[], Any], calls: int) -> float:
        for _ in range(calls):
            call()
        return 3.0 if turns[-1] == "slow" else 0.5

    calls = {name: lambda name=name: turns.append(name) for name in ("quick", "slow")}
    times = interleaved(calls, clock, Effort(rounds=5, sample=1.0, warm_up=1.2, budget=24.0))
    assert (times["quick"].calls, times["quick"].rounds, times["quick"].median) == (2, 5, 0.5)
    assert (times["slow"].calls, times["slow"].rounds, times["slow"].median) == (1, 4, 3.0)
    calibration, rounds = turns[:2], turns[2:]
    assert calibration == ["quick", "slow"]
    # Untimed calls before each timed sample; the order rotates; the slow call leaves out the last round.
    quick, slow = ["quick"] * (3 + 2), ["slow"] * (1 + 1)
    assert rounds == quick + slow + slow + quick + quick + slow + slow + quick + quick


# ---- the program --------------------------------------------------------------------------------------------
def test_the_program_writes_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, picture = tmp_path / "new/run.json", tmp_path / "new/run.png"
    arguments = ["--quick", "--only", "^(linear|area) .* HWC", "--json", str(figures), "--plot", str(picture)]
    assert program.main(arguments) == 0

    run = json.loads(figures.read_text(encoding="utf-8"))
    assert run["schema"] == report.SCHEMA
    assert run["quick"] is True
    assert run["backend"] == "cpu"
    assert run["figures"] == []
    assert {"date", "commit", "machine", "versions", "peers", "absent"} <= set(run)
    assert run["machine"]["threads"]["gpu_upsample"] >= 1
    assert {"python", "numpy", "numba"} <= set(run["versions"])
    assert [case["name"] for case in run["cases"]] == [
        case.name
        for case in SMALL
        if case.layout == "HWC" and type(case.work) is Resample and case.work.method in ("linear", "area")
    ]
    for case in run["cases"]:
        assert {"name", "shape", "dtype", "layout", "operation", "tolerance"} <= set(case)
        assert set(case["ours"]) == set(case["copy"]) == TIMING
        assert case["ours"]["low"] <= case["ours"]["median"] <= case["ours"]["high"]
        assert case["copy_ratio"] == pytest.approx(case["ours"]["median"] / case["copy"]["median"])
        assert case["floor_fraction"] == pytest.approx(case["floor_seconds"] / case["ours"]["median"])
        for entry in case["peers"].values():
            assert set(entry) == {"status", "difference", "ratio", *TIMING}
            assert entry["ratio"] == pytest.approx(entry["median"] / case["ours"]["median"])
    assert picture.read_bytes().startswith(b"\x89PNG")

    printed = capsys.readouterr().out
    assert all(case["name"] in printed for case in run["cases"])
    assert "The figures mean nothing" in printed
    assert "targets met" not in printed
    assert not any(case["verdicts"] for case in run["cases"])


def test_missed_targets_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    record = compare(SMALL[0], [planted(lambda out: out)], "cpu", QUICK)
    record["verdicts"] = [at_least("torch", 2).verdict(1.25), at_most("copy", 9).verdict(1.0)]
    figures = [
        Figure("slow", "s", lambda _quick: (7.0, {"fold": 7.0}), most=6).record(True),
        Figure("free", "s", lambda _quick: (7.0, {})).record(True),
    ]
    report.print_run(report.document("cpu", False, ["planted"], {}, [record], figures))
    printed = capsys.readouterr().out
    assert "1 of 3 targets met; missed:" in printed
    assert f"  {record['name']}: torch 1.25, aimed at ≥ 2\n" in printed
    assert "  slow: 7, aimed at ≤ 6\n" in printed
    row, slow, free = (
        next(line for line in printed.splitlines() if name in line) for name in (record["name"], "slow", "free")
    )
    assert row.split()[-1] == "fail"
    assert slow.split()[1:] == ["7", "s", "≤", "6", "fail"]
    assert "slow: fold 7\n" in printed
    assert free.split()[1:] == ["7", "s"]


def test_the_program_names_who_is_absent_or_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Peer("missing library", "no_such_module", {})
    monkeypatch.setattr(program, "PEERS", (planted(shifted), absent))
    figures = tmp_path / "run.json"
    assert program.main(["--quick", "--only", "1x3x8x8", "--json", str(figures)]) == 0
    run = json.loads(figures.read_text(encoding="utf-8"))
    assert run["peers"] == ["planted"]
    assert run["absent"] == {"missing library": "not installed"}
    assert run["cases"][0]["peers"]["planted"]["status"] == "differs"
    printed = capsys.readouterr().out
    assert "missing library: not installed" in printed
    assert "planted differs by 1 where 2e-05 is allowed" in printed


def test_the_table_without_rich(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    record = compare(SMALL[0], [planted(lambda out: out)], "cpu", QUICK)
    failed = {"name": "another", "error": "ValueError: no"}
    run = report.document("cpu", True, ["planted"], {}, [record, failed | {"verdicts": []}], [])
    monkeypatch.setitem(sys.modules, "rich.console", None)
    report.print_run(run)
    header, first, second = capsys.readouterr().out.splitlines()[:3]
    assert header.split() == ["case", "ms", "copy", "floor", "planted", "targets"]
    assert first.startswith(SMALL[0].name)
    assert len(first) == len(header)
    assert second.split()[:2] == ["another", "error"]


def test_a_part_of_the_table_replaces_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "RESULTS", tmp_path / "benchmarks/results")
    monkeypatch.setattr(program, "PEERS", ())
    monkeypatch.setitem(program.EFFORTS, "cpu", QUICK)
    monkeypatch.setattr(program, "CASES", tuple(SMALL[:2]))
    monkeypatch.setitem(program.FIGURES, "cpu", (Figure("a figure", "ms", lambda _quick: (1.0, {})),))
    assert program.main(["--only", "nearest"]) == 0
    assert program.main(["--quick"]) == 0
    assert not (tmp_path / "benchmarks").exists()
    assert program.main([]) == 0
    assert sorted(path.name for path in program.RESULTS.iterdir()) == ["cpu.json", "cpu.png"]


def test_arguments_that_make_no_sense(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert program.main(["--quick", "--only", "no such case"]) == 2
    names = capsys.readouterr().err
    assert CASES[0].name in names
    assert program.FIGURES["cpu"][0].name in names
    monkeypatch.setattr(program.gu, "available_backends", lambda: ("cpu",))
    for arguments in (["--only", "("], ["--device"]):
        with pytest.raises(SystemExit) as exit_:
            program.main(arguments)
        assert exit_.value.code == 2
    assert "'cuda' cannot run here" in capsys.readouterr().err


@pytest.mark.gpu
def test_the_program_on_a_device(tmp_path: Path) -> None:
    figures = tmp_path / "run.json"
    assert program.main(["--device", "--quick", "--only", "float32|host|graph", "--json", str(figures)]) == 0
    run = json.loads(figures.read_text(encoding="utf-8"))
    assert run["machine"]["device"]["name"]
    assert all(case["ours"]["median"] > 0 for case in run["cases"])
    assert {figure["unit"]: figure["value"] > 0 for figure in run["figures"]} == {"µs": True, "of all": True}


# ---- variants of the package --------------------------------------------------------------------------------
def test_variants_take_turns_and_leave_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    before = threads_of_the_cpu._EACH_BYTES, os.environ.get("GPU_UPSAMPLE_CACHE_DIR")
    variant = "cpu.threads._EACH_BYTES=1,cpu.job._STREAMED_BYTES=1"
    assert vary.main(["--quick", "--only", "^area x0.5 uint8 HWC", variant]) == 0
    header, line = (text.split("\t") for text in capsys.readouterr().out.splitlines())
    assert header == ["case", "ms", variant]
    assert line[0].startswith("area x0.5 uint8 HWC")
    assert float(line[1]) > 0
    assert float(line[2]) > 0
    assert (threads_of_the_cpu._EACH_BYTES, os.environ.get("GPU_UPSAMPLE_CACHE_DIR")) == before


def test_a_variant_with_other_results_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(lambda: np.full(3, threads_of_the_cpu._EACH_BYTES))
    monkeypatch.setitem(vary.OURS.builders, Resample, lambda case, x: job)
    variants = vary.Variants(["cpu.threads._EACH_BYTES=7", "cpu.job._STREAMED_BYTES=1"], tmp_path)
    try:
        _, other, same = vary.row(SMALL[0], variants, "cpu", QUICK)
    finally:
        variants.enter(variants.names[0])
    assert other == "differs"
    assert float(same) > 0


@pytest.mark.parametrize(
    ("variant", "message"),
    [("nothing", "MODULE.NAME=VALUE"), ("cpu.threads.NOPE=1", "no attribute 'NOPE'"), ("nowhere.A=1", "No module")],
)
def test_a_variant_of_nothing(variant: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        vary.main(["--quick", variant])
    assert message in capsys.readouterr().err
