"""Compare the speed of gpu_upsample with that of other libraries, and with what it aims at."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import gpu_upsample as gu
from benchmarks import device, first_call, flatness, new_shapes, report, threads
from benchmarks.cases import CASES
from benchmarks.compare import compare
from benchmarks.figures import Figure
from benchmarks.peers import PEERS
from benchmarks.timing import EFFORTS, QUICK

RESULTS = Path(__file__).parent / "results"
FIGURES: Mapping[str, tuple[Figure, ...]] = {
    "cpu": (*flatness.FIGURES, *threads.FIGURES, *new_shapes.FIGURES["cpu"], *first_call.FIGURES["cpu"]),
    "cuda": (*device.FIGURES, *new_shapes.FIGURES["cuda"], *first_call.FIGURES["cuda"]),
}
"""Backend -> what is measured beside the table of cases."""

_DRAWS = find_spec("matplotlib") is not None


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--device", action="store_true", help="on the GPU, against torch CUDA and cupyx")
    parser.add_argument("--quick", action="store_true", help="small arrays, few rounds: only to see that it runs")
    parser.add_argument("--only", metavar="PATTERN", help="only the rows whose name matches a regular expression")
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to write the figures")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="where to draw them")
    parser.epilog = f"A full run writes {RESULTS.parent.name}/{RESULTS.name}/cpu.json and .png (cuda with --device)."
    options = parser.parse_args(arguments)
    if options.device and "cuda" not in gu.available_backends():
        parser.error("--device: backend 'cuda' cannot run here; `gpu-upsample info` says why")
    if options.plot and not _DRAWS:
        parser.error("--plot: needs matplotlib, which is not installed")
    try:
        options.only = re.compile(options.only or "")
    except re.error as error:
        parser.error(f"--only: {error}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the table; return the exit code, 1 if one of our own calls failed."""
    options = _arguments(arguments)
    place = "cuda" if options.device else "cpu"
    cases = [case.small() for case in CASES] if options.quick else list(CASES)
    figures = FIGURES[place]
    whole = len(cases) + len(figures)
    cases = [case for case in cases if options.only.search(case.name)]
    figures = tuple(figure for figure in figures if options.only.search(figure.name))
    if not cases and not figures:
        names = [*(case.name for case in CASES), *(figure.name for figure in FIGURES[place])]
        sys.stderr.write("no row of that name; there are\n" + "".join(f"  {name}\n" for name in names))
        return 2

    here = [peer for peer in PEERS if place in peer.places]
    absent = {peer.name: reason for peer in here if (reason := peer.missing(place))}
    present = [peer for peer in here if peer.name not in absent]
    effort = QUICK if options.quick else EFFORTS[place]
    jobs: dict[str, Callable[[], report.Record]] = {
        case.name: partial(compare, case, present, place, effort) for case in cases
    }
    jobs |= {figure.name: partial(figure.record, options.quick) for figure in figures}
    records, judged = [], {"verdicts": []} if options.quick else {}  # no figure of a quick run means anything
    try:
        for number, (name, job) in enumerate(jobs.items(), 1):
            sys.stderr.write(f"[{number}/{len(jobs)}] {name}\n")
            records.append(job() | judged)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the rows so far\n")
    found = records[: len(cases)], records[len(cases) :]
    run = report.document(place, options.quick, [peer.name for peer in present], absent, *found)
    report.print_run(run)

    # A part of the table, or a quick run, does not replace the results of the whole.
    complete = len(records) == whole and not options.quick
    if path := options.json or (RESULTS / f"{place}.json" if complete else None):
        report.write_json(run, path)
    if path := options.plot or (RESULTS / f"{place}.png" if complete and _DRAWS else None):
        report.plot(run, path)
    return int(any("error" in record for record in records))


if __name__ == "__main__":
    sys.exit(main())
