"""How long it takes until there is help, or a model: `python tests/benchmarks/startup.py`.

Prints medians of CPU seconds in fresh processes: the whole of `albert --help`, next to a Python
that does nothing; importing `albert_core`, next to a bare Python that imports NumPy; and building
albert-base, next to drawing as many random numbers.
"""

import resource
import statistics
import subprocess
import sys

REPETITIONS = 5
HELP_LIMIT_S, IMPORT_LIMIT_S, BUILD_LIMIT_S = 0.3, 0.5, 3.0

HELP = ("-c", "import sys; from pipeline.console import main; sys.exit(main())", "--help")
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


def whole_cpu_seconds(*arguments: str) -> float:
    """Return the median of the CPU seconds of a few fresh processes of Python, ends included."""
    seconds = []
    for _ in range(REPETITIONS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    rows = (
        ("albert --help", whole_cpu_seconds(*HELP), HELP_LIMIT_S),
        ("python -c pass (peer)", whole_cpu_seconds("-c", "pass"), None),
        ("import albert_core", cpu_seconds(IMPORT.format(module="albert_core")), IMPORT_LIMIT_S),
        ("import numpy (peer)", cpu_seconds(IMPORT.format(module="numpy")), None),
        ("build albert-base", cpu_seconds(BUILD), BUILD_LIMIT_S),
        ("draw 11.8 million numbers (peer)", cpu_seconds(DRAW), None),
    )
    for name, seconds, limit in rows:
        wanted = f"  limit {limit} s: {'met' if seconds < limit else 'MISSED'}" if limit else ""
        print(f"{name:34s} {seconds:6.2f} s{wanted}")


if __name__ == "__main__":
    main()
