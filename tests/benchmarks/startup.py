"""How long it takes until there is a model: `python tests/benchmarks/startup.py`.

Prints medians of CPU seconds in fresh processes: importing `albert_core`, next to a bare Python
that imports NumPy, and building albert-base, next to drawing as many random numbers.
"""

import statistics
import subprocess
import sys

REPETITIONS = 5
IMPORT_LIMIT_S, BUILD_LIMIT_S = 0.5, 3.0

IMPORT = "import {module}; import time; print(time.process_time())"
BUILD = """
import time
from albert_core.presets import preset
from albert_core.model import AlbertForPreTraining
start = time.process_time()
model = AlbertForPreTraining(preset("base_v2", vocab_size=30_000))
print(time.process_time() - start)
"""
DRAW = """
import time
import numpy as np
start = time.process_time()
np.random.default_rng(0).standard_normal(11_813_810, dtype=np.float32)
print(time.process_time() - start)
"""


def cpu_seconds(program: str) -> float:
    """Return the median of what a program prints last, over a few fresh processes."""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(REPETITIONS)
    ]
    return statistics.median(float(output.split()[-1]) for output in outputs)


def main() -> None:
    """Measure and print."""
    rows = (
        ("import albert_core", IMPORT.format(module="albert_core"), IMPORT_LIMIT_S),
        ("import numpy (peer)", IMPORT.format(module="numpy"), None),
        ("build albert-base", BUILD, BUILD_LIMIT_S),
        ("draw 11.8 million numbers (peer)", DRAW, None),
    )
    for name, program, limit in rows:
        seconds = cpu_seconds(program)
        wanted = f"  limit {limit} s: {'met' if seconds < limit else 'MISSED'}" if limit else ""
        print(f"{name:34s} {seconds:6.2f} s{wanted}")


if __name__ == "__main__":
    main()
