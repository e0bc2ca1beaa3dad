"""Checkpoints that the original's scripts fine-tuned, loaded as a person loads them.

The variables of the original's model and of the recorded heads lie in a TensorFlow 1 checkpoint, as
run_classifier, run_race and run_squad leave it. The outputs are those the original computed.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import albert_core
from albert_core.checkpoints import read_tf1_checkpoint, write_tf1_checkpoint
from albert_core.finetuning.config import FinetuningConfig
from albert_core.tasks import TASKS

NUM_STARTS, NUM_ENDS = 3, 4


@pytest.mark.parametrize(
    ("recording", "task"),
    [
        ("classifier_mnli_3way", "mnli"),
        ("classifier_stsb", "sts-b"),
        ("race_2options", "race"),
        ("squad_v1", "squad1"),
        ("squad_v2_predict_start3_end4", "squad2"),
    ],
)
def test_they_answer_as_the_original(
    recording: str, task: str, numeric_goldens: Path, tmp_path: Path
) -> None:
    golden = numeric_goldens / "model" / "g1i1_factorised"
    recorded = dict(np.load(numeric_goldens / "heads" / f"{recording}.npz"))
    pretrained = read_tf1_checkpoint(golden / "model.ckpt")
    encoder = {name: array for name, array in pretrained.items() if name.startswith("bert/")}
    head = {name.removeprefix("var:"): recorded[name] for name in recorded if "var:" in name}
    write_tf1_checkpoint(tmp_path / "model.ckpt-best", {**encoder, **head, "global_step": 3})
    questions = dataclasses.replace(
        FinetuningConfig().questions, start_n_top=NUM_STARTS, end_n_top=NUM_ENDS
    )
    settings = dataclasses.asdict(FinetuningConfig(sequence_length=16, questions=questions))
    (tmp_path / "finetuning.json").write_text(json.dumps(settings))
    model = albert_core.load(tmp_path, task=TASKS[task], config=golden / "albert_config.json")
    names = ("input_ids", "input_mask", "segment_ids", *(["p_mask"] * model.reads_answer_mask))
    inputs = {name: recorded[f"in:{name}"] for name in names}
    num_answers = len(recorded["in:labels"]) if task == "race" else len(inputs["input_ids"])
    if task == "race":
        inputs = {name: array.reshape(num_answers, 2, -1) for name, array in inputs.items()}
    outputs = model.run(inputs)
    # The last sequence is masked whole: float32 has steps of 1e-3 where its scores are.
    rows = slice(num_answers - 1)
    for name, values in outputs.items():
        expected = recorded[name].reshape(values.shape)  # scores of a regression have no axis there
        np.testing.assert_allclose(values[rows], expected[rows], rtol=0, atol=2e-5, err_msg=name)
