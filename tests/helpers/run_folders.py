"""Run folders as `albert run` leaves them, without running anything."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import Manifest, describe_files, find_manifest
from albert_core.config import CONFIG_NAME, WEIGHTS_NAME

FIRST, SECOND = "albert-2026-11-26-10-00-00-000001", "albert-2026-11-27-10-00-00-000001"


class FakeRun:
    """A run's folder whose outputs are tiny files; each differs by the text it is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "artifacts").mkdir(parents=True)
        (folder / "config.yaml").write_text("title: fake\n", encoding="utf-8")

    def write(
        self,
        place: str,
        step: str,
        *,
        config: Mapping[str, Any] | None = None,
        inputs: Mapping[str, str] | None = None,
        metrics: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Path:
        """Write the output of a step below artifacts; return its folder."""
        output = self.folder / "artifacts" / place
        for name, text in (files or {"result.txt": place}).items():
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_text(text, encoding="utf-8")
        Manifest(
            step=step,
            fingerprint="0",
            code_version="0",
            config=config or {},
            inputs=inputs or {},
            files=describe_files(output),
            metrics=metrics or {},
            seconds=1.5,
        ).write(output)
        return output

    def hash_of(self, output: Path) -> str:
        """Return the hash by which later steps name an output."""
        manifest = find_manifest(output)
        assert manifest
        return manifest.content_hash

    def write_start(self, attempt: str, text: str = "one") -> list[Path]:
        """Write vocabulary, records of one length, and a pretrained model."""
        return [
            self.write(f"{attempt}/train-vocab/vocab", "vocab", files={"spiece.model": text}),
            self.write(
                f"{attempt}/for-loop-1-iteration-0/make-records/records",
                "records",
                config={"records": {"sequence_length": 32}},
                files={"train-00000-of-00001.tfrecord": text},
            ),
            self.write(
                f"{attempt}/pretrain/pretrained",
                "pretrain",
                files={CONFIG_NAME: "{}", WEIGHTS_NAME: f"pretrained {text}"},
                metrics={"loss": 5.0},
            ),
        ]

    def write_task(
        self,
        attempt: str,
        number: int,
        task: str,
        *,
        initialization: str = "pretrained",
        text: str = "one",
        score: float = 0.7,
        settings: Mapping[str, Any] | None = None,
        tuned: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Write a fine-tuned model and its evaluation; `tuned` are metrics of fine-tuning."""
        loop = f"{attempt}/for-loop-2-iteration-{number}"
        config = {"task": task, "initialization": initialization}
        model = self.write(
            f"{loop}/finetune/finetuned",
            "finetune",
            config={**config, "finetuning": settings or {}},
            inputs={"pretrained": f"weights {text}"},
            metrics={"accuracy": score, "majority_score": 0.5, **(tuned or {})},
            files={CONFIG_NAME: "{}", WEIGHTS_NAME: f"{task} {initialization} {text}"},
        )
        evaluation = self.write(
            f"{loop}/evaluate/evaluation",
            "evaluate",
            config=config,
            inputs={"model": self.hash_of(model)},
            metrics={"accuracy": score, "score": score, "low": score - 0.1, "high": score + 0.1},
            files={"metrics.json": f"{task} {initialization} {text} {score}"},
        )
        return [model, evaluation]

    def write_export(self, attempt: str, models: Mapping[str, Path]) -> Path:
        """Write an export of models by task, as ONNX."""
        return self.write(
            f"{attempt}/export-models/exported",
            "export",
            inputs={f"{task} model": self.hash_of(model) for task, model in models.items()},
            files={f"{task}/onnx/model.onnx": str(model) for task, model in models.items()},
        )

    def write_report(self, attempt: str, outputs: list[Path]) -> Path:
        """Write the report of outputs, which it names by their hashes."""
        inputs = {f"step {number}": self.hash_of(output) for number, output in enumerate(outputs)}
        return self.write(
            f"{attempt}/report/summary",
            "report",
            inputs=inputs,
            files={"index.html": f"<p>{attempt}</p>", "summary.json": "{}"},
        )
