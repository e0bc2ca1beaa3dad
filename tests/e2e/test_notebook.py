"""The notebook in docs/ runs as it is committed, and holds nothing of any machine."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from albert_core.artifacts.manifest import read_manifest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "glue_fine_tuning.ipynb"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)


def test_nothing_of_a_run_is_committed(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.search(r"""["' (=](/(tmp|home|root|work|Users|mnt|usr)\b|[A-Z]:\\\\)""", text)


@pytest.mark.slow
def test_the_notebook_runs_and_learns(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (parameters,) = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())
    ]
    parameters.source = parameters.source.replace('OUTPUT = ""', f"OUTPUT = {str(tmp_path)!r}")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    tuned = read_manifest(tmp_path / "tuned", step="finetune").metrics
    assert tuned["accuracy"] > tuned["majority_score"] + 0.2
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    assert (
        f"{read_manifest(tmp_path / 'scores', step='evaluate').metrics['accuracy']:.4f}" in printed
    )
    assert "# ALBERT, fine-tuned on docs-package" in printed
