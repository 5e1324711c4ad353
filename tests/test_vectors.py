"""The routes of the CPU's vector kernels: whatever the way, the bits are the same, and no access leaves an array."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

import gpu_upsample as gu
from gpu_upsample import cpu
from gpu_upsample.cpu import bands, job, permute, select, tables, threads
from gpu_upsample.cpu import filter as filters
from gpu_upsample.cpu.bands import Bands, joined
from gpu_upsample.cpu.features import has_feature
from gpu_upsample.cpu.permute import transpose
from gpu_upsample.cpu.record import PASSING
from gpu_upsample.cpu.vectors import entries, load, store
from gpu_upsample.plan.dtypes import FOREIGN
from gpu_upsample.plan.resample import plan_resize
from gpu_upsample.plan.steps import FilterStep
from gpu_upsample.plan.taps import Taps
from tests.bits import AVX2

SHAPES = [(3, 21, 70), (2, 9, 128), (40, 13, 3), (17, 8, 33), (33, 50, 1), (24, 22, 66)]
FEW_SHAPES = [(40, 13, 3), (24, 22, 66)]  # one column, a few scalars and several vectors of the inner axis
CALLS = [
    {"method": "linear", "scale": 2},
    {"method": "area", "scale": 0.5},
    {"method": "nearest", "size": (40, 200)},
    {"method": "nearest", "size": (5, 7)},
    {"method": "nearest", "size": (8, 11)},
    {"method": "linear", "size": (31, 131)},
    {"method": "cubic", "size": (18, 47), "border": "constant", "fill_value": 3},
    {"method": "lanczos3", "size": (4, 9), "antialias": True, "border": "renormalize"},
]

DEFAULTS = (False, "half_pixel", "round_prefer_floor", -0.5, None)


def calls(shape):
    """Return what can be done to an array of that shape: axes, options and shape of the result."""
    for axes in ((0, 1), (1, 2)):
        for call in CALLS:
            sizes = call.get("size") or [int(shape[axis] * call["scale"]) for axis in axes]
            if min(sizes) > 0:
                found = dict(zip(axes, sizes, strict=True))
                yield {"axes": axes} | call, tuple(found.get(axis, n) for axis, n in enumerate(shape))


def results(dtype, offset=0, shapes=SHAPES):
    """Return the results of all calls, in arrays that begin so many elements behind a cache line."""
    random = np.random.default_rng(0)
    found = []
    for shape in shapes:
        x = (200 * random.random(shape)).astype(dtype)
        for call, lengths in calls(shape):
            size = int(np.prod(lengths))
            held = np.zeros(size + 128, dtype)
            start = -held.ctypes.data % 64 // held.itemsize + offset
            out = held[start : start + size].reshape(lengths)
            gu.resize(x, out=out, **call)
            assert not held[:start].any()
            assert not held[start + size :].any()
            found.append(out)
    return found


def same(ours, theirs):
    return all(a.tobytes() == b.tobytes() for a, b in zip(ours, theirs, strict=True))


def forget_jobs():
    """Let the next calls ask anew how results are written."""
    for held in (filters._filter_job, filters._band_job, select._select_job):
        held.cache_clear()


@pytest.fixture
def write(monkeypatch):
    """What sets how results are written."""

    def change(streamed_bytes, long_row=job._LONG_ROW):
        monkeypatch.setattr(job, "_STREAMED_BYTES", streamed_bytes)
        monkeypatch.setattr(job, "_LONG_ROW", long_row)
        forget_jobs()

    yield change
    forget_jobs()


@pytest.mark.parametrize("long_row", [0, 1 << 30], ids=["row by row", "collected"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_streamed_results_are_the_same(dtype, long_row, write):
    expected = results(dtype)
    write(0, long_row)
    for offset in (0, 1, 7):
        assert same(results(dtype, offset), expected)


@pytest.mark.parametrize("names", [("uint8 wide", "uint8"), ("int8 fixed", "int8")], ids=lambda names: names[0])
def test_streamed_results_of_wide_sums_are_the_same(names, write):
    """Fewer of them are formed at once than a cache line has bytes."""
    storage, dtype = FOREIGN[names[0]], names[1]
    x = np.random.default_rng(0).integers(-128, 128, (9, 31)).astype(dtype)
    two = Taps(31, np.arange(300) % 30, np.full(300, 2), np.full((300, 2), 2.0 ** (storage.fraction - 1)))
    for step in (
        FilterStep((1, 9, 31, 1), None, two, storage, storage),
        FilterStep((1, 31, 1, 9), two, None, storage, storage),
    ):
        expected = np.empty(int(np.prod(step.shape_out)), dtype)
        write(1 << 30)
        filters.run_filter(step, x.ravel(), expected)
        write(0, 0)
        for offset in range(0, 64, 7):
            held = np.full(expected.size + 192, 77, dtype)
            start = -held.ctypes.data % 64 + offset
            filters.run_filter(step, x.ravel(), held[start : start + expected.size])
            assert same([held[start : start + expected.size]], [expected])
            assert (held[:start] == 77).all()
            assert (held[start + expected.size :] == 77).all()


@pytest.mark.parametrize(
    ("product_bytes", "read", "written", "passes"),
    [
        (1, 40, 50, False),
        (1, 40, 60, True),
        (0, 90, 300, False),  # it fits into the last cache
        (0, 90, 301, True),
        (0, 100, 60, True),  # the input takes that cache
    ],
)
def test_what_goes_past_the_caches(product_bytes, read, written, passes, monkeypatch):
    monkeypatch.setattr(job, "_STREAMED_BYTES", 100)
    monkeypatch.setattr(job, "_LAST_CACHE", 300)
    assert job.passes_caches(product_bytes, read, written) == passes


def test_a_row_repeats_behind_others_that_are_filled():
    x = np.random.default_rng(0).random((2, 1, 40), np.float32)
    box = ((0, 2), (-1, 2), (0, 40))
    out = gu.resize(x, (4, 3, 80), method="nearest", border="constant", fill_value=7, box=box)
    expected = np.full((4, 3, 80), 7, np.float32)
    expected[:, 1] = x[[0, 0, 1, 1], 0].repeat(2, axis=1)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_turned_rows_sum_as_the_others_do(dtype, monkeypatch):
    x = (200 * np.random.default_rng(0).random((37, 300, 3))).astype(dtype)
    turned = gu.resize(x, 11, axes=1, method="cubic", antialias=True)
    kernels = []
    build = filters.filter_kernel
    monkeypatch.setattr(filters, "_TURNED_BYTES", 0)
    monkeypatch.setattr(filters, "filter_kernel", lambda *kind: kernels.append(kind) or build(*kind))
    filters._filter_job.cache_clear()
    assert same([gu.resize(x, 11, axes=1, method="cubic", antialias=True)], [turned])
    assert kernels  # the second call took the other route
    filters._filter_job.cache_clear()


@pytest.mark.parametrize("streamed", [1 << 23, 0], ids=["stored", "streamed"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "options", "between"),
    [
        ((2, 150, 210, 3), {"size": (23, 13), "axes": (1, 2), "method": "cubic", "antialias": True}, 1 << 22),
        ((2, 150, 210, 3), {"size": (23, 13), "axes": (1, 2), "method": "cubic", "antialias": True}, 0),
        ((5, 7, 9, 23), {"size": (13, 20, 40), "axes": (1, 2, 3), "method": "linear"}, 1 << 22),
        ((3, 40, 9, 23), {"size": (5, 20, 41), "axes": (1, 2, 3), "method": "lanczos3", "border": "constant"}, 1 << 22),
    ],
    ids=["rows", "few rows", "planes", "fewer planes"],
)
def test_bands_sum_as_whole_arrays_do(shape, options, between, dtype, streamed, monkeypatch, use_threads, write):
    x = (200 * np.random.default_rng(0).random(shape)).astype(dtype)
    use_threads("2")
    monkeypatch.setattr(bands, "_BETWEEN_BYTES", between)
    bands._joined.cache_clear()
    write(streamed)
    banded, found = gu.resize(x, **options), []
    monkeypatch.setattr(cpu, "joined", lambda plan: found.append(joined(plan)) or plan.steps)
    assert same([gu.resize(x, **options)], [banded])
    assert len(found) == 1
    assert isinstance(found[0][0], Bands)  # else both took the same way
    assert (found[0][0].rows == (12, 12)) == (between == 0)
    bands._joined.cache_clear()


@pytest.mark.parametrize(("streamed", "passes"), [(600_000, True), (1_000_000, False)])
def test_bands_pass_the_caches_if_what_is_read_and_written_does(streamed, passes, write):
    """That is the input and the result: what lies between them is never whole in memory."""
    write(streamed)
    plan = plan_resize((300, 1000, 3), "uint8", 0, "clamp", (40, 100), None, None, "cubic", True, *DEFAULTS[1:])
    with gu.use_threads(2):
        (step,) = joined(plan)
    whole = filters._band_job(step)
    _, (_, second) = whole.held
    assert (whole.record[PASSING] > 0) == (second.record[PASSING] > 0) == passes


# What a processor has to pick samples from registers, and the bytes of its own.
MACHINES = {
    "AVX-512": ({"avx512f", "avx512bw", "avx512vbmi", "avx2", "ssse3"}, 64),
    "AVX2": ({"avx2", "ssse3"}, 32),
    "NEON": ({"neon"}, 16),
    "none": (set(), 16),
}
FORGET = (permute._permutation, filters._sums_of_vectors, filters._lies_near)


@pytest.fixture
def on_machine(monkeypatch):
    """What lets tables be made as on another machine."""

    def use(name):
        features, size = MACHINES[name]
        monkeypatch.setattr(permute, "has_feature", features.__contains__)
        monkeypatch.setattr(tables, "_PARTS", 64 // size)
        for function in FORGET:
            function.cache_clear()

    yield use
    monkeypatch.undo()
    for function in FORGET:
        function.cache_clear()


@pytest.mark.parametrize(
    ("dtype", "shape", "options", "expected"),
    [
        # On AVX-512, AVX2 and NEON.
        ("float32", (30, 40), {"scale": 2, "method": "cubic"}, [(1, 4, 16), (1, 4, 16), (2, 4, 16)]),
        # Five times three columns, all alike.
        ("float32", (30, 400), {"scale": 1.5, "method": "linear"}, [(1, 2, 15), (1, 2, 15), (1, 2, 15)]),
        # Four pixels, all alike.
        ("float32", (30, 40, 3), {"scale": 2, "method": "linear"}, [(1, 2, 12), (1, 1, 12), (2, 2, 12)]),
        # None are alike.
        ("float32", (30, 400, 3), {"scale": 1.37, "method": "linear"}, [(1, 2, 16), (1, 1, 16), (2, 2, 16)]),
        ("float32", (30, 400), {"scale": 0.61, "method": "cubic"}, [(2, 4, 16), (2, 4, 16), (3, 4, 16)]),
        ("float32", (30, 400), {"scale": 0.35, "method": "cubic"}, [(4, 4, 16), (3, 4, 16), (4, 4, 16)]),
        ("float32", (30, 400), {"scale": 0.2, "method": "linear"}, [(6, 1, 16), (0, 1, 16), (4, 1, 16)]),
        ("float32", (30, 400), {"scale": 0.1, "method": "linear"}, [(6, 2, 10), (0, 1, 16), (0, 1, 16)]),
        ("float32", (30, 400), {"scale": 0.05, "method": "linear"}, [(0, 1, 16), (0, 1, 16), (0, 1, 16)]),
        ("float32", (30, 40), {"scale": 2, "method": "lanczos3"}, [(1, 6, 16), (1, 1, 16), (2, 6, 16)]),
        ("float16", (30, 400), {"scale": 0.35, "method": "cubic"}, [(2, 4, 16), (3, 4, 16), (3, 4, 16)]),
        ("uint8", (30, 40, 3), {"scale": 0.5, "method": "area"}, [(1, 2, 30), (2, 1, 32), (3, 2, 32)]),
        ("uint8", (30, 40, 3), {"scale": 2, "method": "linear"}, [(1, 2, 30), (1, 2, 30), (1, 2, 30)]),
        ("uint8", (30, 400), {"scale": 0.07, "method": "linear"}, [(4, 2, 16), (0, 1, 16), (0, 1, 16)]),
    ],
    ids=str,
)
def test_how_the_samples_of_a_vector_are_picked(dtype, shape, options, expected, on_machine):
    """From as few registers as hold them, whole windows if that pays, and alike in all vectors at some ratios."""
    (step,) = plan_resize(shape, dtype, 0, "clamp", None, options["scale"], (0, 1), options["method"], *DEFAULTS).steps
    found = []
    for machine in MACHINES:
        on_machine(machine)
        sums = filters._column_sums(filters._in_short_integers(step))
        found.append((sums.registers, max(sums.joint, 1), sums.stride))
    *picked, singly = found
    assert picked == expected
    assert singly[:2] == (0, 1)


PERMUTATIONS = [
    pytest.param(bits, how, id=f"{bits}-{how.feature}")
    for bits, ways in permute._PERMUTATIONS.items()
    for how in ways
    if has_feature(how.feature)
]


@pytest.mark.parametrize("registers", [1, 2, 3, 4, 6, 8, 16])
@pytest.mark.parametrize(("bits", "how"), PERMUTATIONS)
def test_samples_are_picked_from_registers(bits, how, registers, monkeypatch):
    """By all instructions that this processor has for it."""
    monkeypatch.setattr(permute, "_permutation", lambda _: how)
    lanes, itemsize = max(16, 512 // bits // 2), bits // 8
    held, results = how.size // itemsize, permute.results_of(lanes, itemsize)
    random = np.random.default_rng(registers)
    x = random.integers(1 << min(bits, 62), size=4096).astype(f"u{itemsize}")
    last = min(registers * held, 256)
    start, index = random.integers(1000, size=results), random.integers(last, size=lanes).astype(np.uint8)
    turn, shift = last - 1 - int(index.max()), 7

    @njit
    def picked(x, start, index, out):
        at = entries(results, start, 0)
        store(out, 0, permute.gather(registers, x, at, shift, load(lanes, index, 0), turn))

    out = np.zeros(lanes, x.dtype)
    picked(x, start, index, out)
    np.testing.assert_array_equal(out, x[start.repeat(lanes // results) + shift + index.astype(np.int64) + turn])


@pytest.mark.parametrize(
    ("short", "options"),
    [
        (True, {"scale": 2, "method": "linear"}),
        (True, {"scale": 2, "method": "linear", "coordinates": "asymmetric"}),
        (True, {"scale": 0.5, "method": "area"}),
        (True, {"scale": 0.25, "method": "area"}),
        (True, {"scale": 0.25, "method": "area", "axes": 0}),
        (True, {"scale": 0.0625, "method": "area", "axes": 0}),
        (True, {"scale": 8, "method": "linear", "axes": 1}),
        (False, {"scale": 4, "method": "linear"}),
        (False, {"scale": 2, "method": "cubic"}),
        (False, {"scale": 0.125, "method": "area"}),
        (False, {"scale": 2, "method": "linear", "border": "constant"}),
        (False, {"scale": 2, "method": "linear", "border": "extrapolate"}),
    ],
    ids=str,
)
def test_short_sums_of_bytes_are_exact(short, options, monkeypatch):
    random = np.random.default_rng(0)
    x = np.stack([random.integers(0, 256, (48, 80), np.uint8), np.full((48, 80), 255, np.uint8)], axis=2)
    options = {"axes": (0, 1)} | options
    ours, shortened = gu.resize(x, **options), []
    choose = filters._in_short_integers
    monkeypatch.setattr(filters, "_in_short_integers", lambda step: shortened.append(choose(step) is not step) or step)
    filters._filter_job.cache_clear()
    assert same([ours], [gu.resize(x, **options)])
    assert shortened == [short]
    filters._filter_job.cache_clear()


def test_for_a_read_only_array_nothing_is_compiled():
    x = np.ones((19, 23), np.float32)
    writable = gu.resize(x, (38, 46), method="linear")
    x.flags.writeable = False
    assert same([gu.resize(x, (38, 46), method="linear")], [writable])
    assert len(threads._run.signatures) == 1


# Numba's generic processor has neither permutations nor fused multiply-adds: LLVM replaces both.
LESSER = {"generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, "AVX2": AVX2}


@pytest.mark.parametrize("processor", LESSER)
def test_a_lesser_processor_gives_the_same_bits(processor, tmp_path):
    if processor == "AVX2" and not has_feature("avx2"):
        pytest.skip("this processor has no AVX2")
    expected = results("float32", 0, FEW_SHAPES) + results("uint8", 0, FEW_SHAPES)
    code = """
import sys
import numpy as np
from tests.test_vectors import FEW_SHAPES, results
np.savez(sys.argv[1], *results("float32", 0, FEW_SHAPES), *results("uint8", 0, FEW_SHAPES))
"""
    cache, file = tmp_path / "cache", tmp_path / "results.npz"
    environment = os.environ | LESSER[processor] | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code, file], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with np.load(file) as found:
        assert same([found[name] for name in found.files], expected)


GUARDED = """
import ctypes, mmap
import numpy as np
import gpu_upsample as gu
PAGE, kept = mmap.PAGESIZE, []
protect = ctypes.CDLL(None, use_errno=True).mprotect
protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

def guarded(shape, dtype, at_end=True):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-size // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    kept.append(memory)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (0, pages + 1):
        assert protect(start + page * PAGE, PAGE, 0) == 0
    offset = PAGE + (pages * PAGE - size if at_end else 0)
    return np.frombuffer(memory, dtype, int(np.prod(shape)), offset).reshape(shape)
"""
"""Arrays that end, or begin, where the next page must not be touched."""

GUARDED_CALLS = {
    "resize": """
from gpu_upsample.cpu import filter as filters
from gpu_upsample.cpu import job
from tests.test_vectors import SHAPES, calls, forget_jobs
for streamed, long_row in ((job._STREAMED_BYTES, 0), (0, 0), (0, 1 << 30)):
    job._STREAMED_BYTES, job._LONG_ROW = streamed, long_row
    forget_jobs()
    for dtype in ("uint8", "float32"):
        for shape in SHAPES:
            x = guarded(shape, dtype)
            x[:] = np.arange(x.size).reshape(shape) % 200
            for call, lengths in calls(shape):
                expected = gu.resize(x.copy(), **call)
                for at_end in (True, False):
                    out = guarded(lengths, dtype, at_end)
                    gu.resize(x, out=out, **call)
                    assert out.tobytes() == expected.tobytes()
for dtype in ("uint8", "float32"):
    x = guarded((37, 300, 3), dtype)
    x[:] = np.arange(x.size).reshape(x.shape) % 200
    turned = {"size": 11, "axes": 1, "method": "cubic", "antialias": True}
    out = guarded((37, 11, 3), dtype)
    gu.resize(x, out=out, **turned)
    assert out.tobytes() == gu.resize(x.copy(), **turned).tobytes()
    x = guarded((5, 900), dtype)
    x[:] = np.arange(x.size).reshape(x.shape) % 200
    for method in ("nearest", "linear", "cubic"):
        for size in ((5, 430), (5, 310), (5, 200), (5, 119), (5, 60)):  # samples in two registers to eight, or singly
            out = guarded(size, dtype)
            gu.resize(x, size, method=method, out=out)
            assert out.tobytes() == gu.resize(x.copy(), size, method=method).tobytes()
""",
    "conv_transpose": """
from tests.cases import noise
for layout, shape, channels, stride, padding, kernel in (
    ("channels_first", (2, 33, 7, 16), 5, 2, 1, (4, 4)),  # samples read at once, beyond both ends of a row
    ("channels_first", (1, 3, 5, 3), 40, 2, 1, (4, 4)),
    ("channels_first", (1, 20, 5, 9), 40, 1, 1, (3, 3)),  # taps of channels that are turned
    ("channels_first", (1, 20, 5, 9), 40, 4, 0, (4, 8)),  # taps that are collected from two registers
    ("channels_last", (2, 3, 9, 37), 8, 2, 1, (4, 4)),  # squares that are transposed
    ("channels_last", (2, 3, 8, 37), 8, 1, 1, (4, 4)),  # results written at once, up to the last
):
    last, options = layout == "channels_last", {"stride": stride, "padding": padding, "data_format": layout}
    given, weight = noise(shape, "float32"), noise((shape[-1 if last else 1], channels, *kernel), "float32", 1)
    expected = gu.conv_transpose2d(given, weight, **options)
    for at_end in (True, False):
        x, factors, out = (guarded(a.shape, a.dtype, at_end) for a in (given, weight, expected))
        x[:], factors[:] = given, weight
        gu.conv_transpose2d(x, factors, out=out, **options)
        assert out.tobytes() == expected.tobytes()
""",
    "gradients": """
from tests.test_conv_transpose_backward import ROWS, layer
for dtype in ("float32",):
    for shape, weight_shape, stride, padding in ROWS.values():
        options = {"stride": (1, stride), "padding": (0, padding), "deterministic": True}
        given = layer(shape, weight_shape, dtype, stride=options["stride"], padding=options["padding"])
        expected = gu.conv_transpose2d_backward(*given, **options)
        for at_end in (True, False):
            arrays, out = (tuple(guarded(a.shape, a.dtype, at_end) for a in some) for some in (given, expected))
            for array, values in zip(arrays, given):
                array[:] = values
            gu.conv_transpose2d_backward(*arrays, **options, out=out)
            assert all(a.tobytes() == b.tobytes() for a, b in zip(out, expected))
""",
    "max_pool": """
from tests.cases import noise
for dtype in ("uint8", "float16"):
    for shape in ((2, 3, 7), (1, 2, 16), (1, 3, 33), (1, 2, 130)):
        for kernel, stride, padding in ((2, 2, 0), (3, 1, 1), (5, 2, 0), (6, 9, 3)):
            windows = (1, kernel), (1, stride), (0, padding), 1, True
            given = noise(shape, dtype)
            values, indices = gu.max_pool2d(given, *windows, return_indices=True)
            for at_end in (True, False):
                x, out, places = (guarded(a.shape, a.dtype, at_end) for a in (given, values, indices))
                x[:] = given
                gu.max_pool2d(x, *windows, return_indices=True, out=(out, places))
                assert (out.tobytes(), places.tobytes()) == (values.tobytes(), indices.tobytes())
                if "float" in dtype:
                    grad, back = guarded(values.shape, dtype, at_end), guarded(shape, dtype, at_end)
                    grad[:] = 1
                    gu.max_pool2d_backward(grad, places, shape, *windows, out=back)
""",
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect of the C library")
@pytest.mark.parametrize(("calls", "processor"), [*((calls, {}) for calls in GUARDED_CALLS), ("resize", AVX2)])
def test_no_access_beyond_an_array(calls, processor):
    if processor and not has_feature("avx2"):
        pytest.skip("this processor has no AVX2")
    code = f"""
{GUARDED}
{GUARDED_CALLS[calls]}
print("untouched")
import os; os._exit(0)  # the mappings cannot be closed while arrays look at them
"""
    command, environment = [sys.executable, "-u", "-c", code], os.environ | processor
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "untouched\n", (done.returncode, done.stderr)


@pytest.mark.parametrize("rows", [1, 2, 4, 8])
def test_rows_are_interleaved(rows):
    @njit
    def run(array, target):
        transpose(ROWS, LANES, array, 3, 20, target, 5)

    ROWS, LANES = rows, 16
    array, target = np.arange(200, dtype=np.float32), np.zeros(150, np.float32)
    run(array, target)
    expected = np.stack([array[3 + 20 * row :][:LANES] for row in range(rows)], axis=1).ravel()
    assert same([target[5 : 5 + rows * LANES]], [expected])
    assert not target[:5].any()
    assert not target[5 + rows * LANES :].any()
