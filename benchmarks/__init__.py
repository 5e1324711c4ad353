"""Speed of gpu_upsample next to that of other libraries: `python -m benchmarks`."""
