"""What a run's report was made from is found again in the run's folder, by the hashes."""

from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts.manifest import Manifest, describe_files
from albert_core.errors import InputError
from components.report.run_outputs import find_report_inputs


def write_output(folder: Path, step: str, text: str, **fields: Any) -> Manifest:
    """Write an output with one file; return its manifest."""
    folder.mkdir(parents=True)
    (folder / "file").write_text(text)
    manifest = Manifest(
        **{
            "step": step,
            "fingerprint": "",
            "code_version": "",
            "config": {},
            "inputs": {},
            "files": describe_files(folder),
            "metrics": {},
            "seconds": 1.0,
            **fields,
        }
    )
    manifest.write(folder)
    return manifest


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with two attempts of its pretraining, of which the report names the second."""
    run = tmp_path / "run"
    made = run / "artifacts" / "albert-1"
    write_output(run / "artifacts" / "albert-0" / "pretrain", "pretrain", "an older attempt")
    outputs = {"vocab 0": write_output(made / "vocab", "vocab", "vocab")}
    for number, length in enumerate((24, 48)):
        folder = made / f"records-{length}"
        outputs[f"records {number}"] = write_output(folder, "records", f"records {length}")
    outputs["pretrain 0"] = write_output(made / "pretrain", "pretrain", "weights")
    for number, initialization in enumerate(("pretrained", "random")):
        config = {"task": "topic", "initialization": initialization}
        for step in ("finetune", "evaluate"):
            folder = made / f"loop-{number}" / step
            outputs[f"{step} {number}"] = write_output(
                folder, step, f"{step} {number}", config=config
            )
    (made / "report" / "summary").mkdir(parents=True)
    (made / "report" / "summary" / "summary.json").write_text("{}")
    report = made / "report" / "summary"
    manifest = Manifest(
        step="report",
        fingerprint="",
        code_version="",
        config={"title": "a run"},
        inputs={name: output.content_hash for name, output in outputs.items()},
        files=describe_files(report),
        metrics={},
        seconds=1.0,
    )
    manifest.write(report)
    return run


def test_the_outputs_that_the_report_names_are_found(run):
    made = run / "artifacts" / "albert-1"
    assert find_report_inputs(str(run)) == {
        "title": "a run",
        "vocab": made / "vocab",
        "records": [made / "records-24", made / "records-48"],
        "pretrained": str(made / "pretrain"),
        "finetuned": [str(made / f"loop-{number}" / "finetune") for number in range(2)],
        "evaluations": [made / f"loop-{number}" / "evaluate" for number in range(2)],
        "in_run_folder": False,
    }


def test_models_are_named_by_their_places_where_a_run_has_these(run):
    (run / "models").mkdir()
    made = run / "artifacts" / "albert-1"
    (run / "models" / "topic").symlink_to(made / "loop-0" / "finetune")
    (run / "pretrained").symlink_to(run / "artifacts" / "albert-0" / "pretrain")
    arguments = find_report_inputs(str(run))
    assert arguments["finetuned"][0] == str(run / "models" / "topic")
    assert arguments["finetuned"][1] == str(made / "loop-1" / "finetune")
    # A place that leads to another output is not what the report is about.
    assert arguments["pretrained"] == str(made / "pretrain")


def test_an_output_that_is_gone_is_named(run):
    (run / "artifacts" / "albert-1" / "vocab" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"the output vocab 0 of the report is not there"):
        find_report_inputs(str(run))
