"""Processes of the program do without what Keras and TensorFlow import and do not need."""

import subprocess
import sys


def test_only_what_is_needed_is_imported_with_keras():
    code = (
        "import sys\n"
        "from albert_core.processes.unused_imports import skip_unused_imports\n"
        "skip_unused_imports()\n"
        "import keras\n"
        "print(*(n for n in ('matplotlib', 'sklearn') if n in sys.modules))\n"
        "import matplotlib, sklearn.metrics\n"
        "assert sklearn.metrics.f1_score([1], [1]) == 1\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "\n"), result.stderr
