"""The table of export formats: complete, light, and true to the files and heads of each format."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from albert_core.checkpoints.huggingface_config import ARCHITECTURES
from albert_core.checkpoints.names import HEADS
from albert_core.exports.formats import (
    FORMATS,
    ExportFormat,
    common_poolings,
    find_export_format,
)
from albert_core.pooling import POOLINGS


def test_every_name_has_an_entry() -> None:
    assert tuple(FORMATS) == get_args(ExportFormat)


def test_the_table_needs_no_runtime() -> None:
    heavy = ("tensorflow", "keras", "onnx", "numpy", "safetensors")
    code = (
        "import sys, albert_core.exports.formats; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("name", [name for name, spec in FORMATS.items() if spec.files])
def test_a_format_is_known_by_its_files(name: ExportFormat, tmp_path: Path) -> None:
    for file in FORMATS[name].files:
        assert find_export_format(tmp_path) is None
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    found = find_export_format(tmp_path)
    assert found is not None
    assert FORMATS[found].files == FORMATS[name].files


def test_heads_that_a_format_lacks_are_heads() -> None:
    for spec in FORMATS.values():
        assert spec.unsupported_heads <= HEADS.keys()
    in_transformers = frozenset().union(*ARCHITECTURES)
    assert FORMATS["huggingface"].unsupported_heads == HEADS.keys() - in_transformers


def test_only_graphs_and_this_programs_folders_hold_heads_that_the_original_has_not() -> None:
    others = {name for name, spec in FORMATS.items() if spec.poolings == POOLINGS.keys()}
    assert FORMATS.keys() - others == {"huggingface", "tf1"}
    assert common_poolings(()) == POOLINGS.keys()
    assert common_poolings(("onnx", "tf1")) == {"pooler"}
