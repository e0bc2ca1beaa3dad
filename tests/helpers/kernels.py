"""Compiles what makes records, once, before several processes of tests would do so at a time.

`python -m tests.helpers.kernels`. numba keeps the machine code beside the modules, where the
tests' processes find it. In a clone that has it already this takes seconds.
"""

import tempfile
from pathlib import Path

from tests.helpers.tiny_pretraining import make_material

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make_material(Path(folder))
