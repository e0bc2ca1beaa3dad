"""The step `checkpoint`: models of every kind become the same model folder, and nothing is lost."""

import json
import shutil
from pathlib import Path

import pytest

from albert_core import storage
from albert_core.artifacts.manifest import read_manifest
from albert_core.checkpoints import (
    Checkpoint,
    read_checkpoint,
    save_folder,
    save_huggingface,
    save_release,
)
from albert_core.errors import InputError
from albert_core.places.outputs import PRETRAINED_PLACE, find_outputs
from components.checkpoint.config import CheckpointConfig
from components.checkpoint.step import CHECKPOINT_NAME, import_checkpoint
from components.export.lineage import lineage_at
from tests.helpers.checkpoint_samples import classifier, pretrained
from tests.helpers.object_storage import emulated_bucket


@pytest.fixture(scope="module")
def model(tokenizer) -> Checkpoint:
    return pretrained(tokenizer=tokenizer)


@pytest.fixture(scope="module")
def folders(model, tokenizer, tmp_path_factory) -> dict[str, Path]:
    """The same model in a folder of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    for name, save in (("tf1", save_release), ("hf", save_huggingface), ("ours", save_folder)):
        save(model, folder / name)
    return {entry.name: entry for entry in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "kind"), [("tf1", "tf1"), ("hf", "huggingface"), ("ours", "keras")]
)
def test_every_kind_becomes_the_same_model_folder(folders, model, name, kind, tmp_path):
    config = CheckpointConfig(path=str(folders[name]))
    manifest = import_checkpoint(config=config, output=tmp_path / "out")
    imported = read_checkpoint(tmp_path / "out")
    assert imported.content_hash() == model.content_hash()
    assert manifest.metrics["kind"] == kind
    assert manifest.metrics["vocab_size"] == len(model.tokenizer)
    assert manifest.metrics["num_parameters"] == sum(a.size for a in model.weights.values())
    facts = json.loads((tmp_path / "out" / CHECKPOINT_NAME).read_text())
    assert (facts["source"], facts["lower_case"]) == (str(folders[name]), True)
    assert facts["heads"] == "masked_lm, sentence_order"


def test_a_bare_checkpoint_takes_configuration_and_a_cased_vocabulary_from_elsewhere(
    folders, tmp_path
):
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in folders["tf1"].glob("model.ckpt-best.*"):
        shutil.copy(file, bare)
    with pytest.raises(InputError, match="give the model's albert_config"):
        import_checkpoint(config=CheckpointConfig(path=str(bare)), output=tmp_path / "out")
    with_config = {"path": str(bare), "albert_config": str(folders["tf1"] / "albert_config.json")}
    with pytest.raises(InputError, match="has no vocabulary beside it"):
        import_checkpoint(config=CheckpointConfig(**with_config), output=tmp_path / "out")
    whole = CheckpointConfig(
        **with_config,
        vocab=str(folders["tf1"] / "30k-clean.model"),
        lower_case=False,
        strip_accents=False,
    )
    import_checkpoint(config=whole, output=tmp_path / "out")
    tokenizer = read_checkpoint(tmp_path / "out").tokenizer
    assert (tokenizer.lower_case, tokenizer.strip_accents) == (False, False)


def test_a_checkpoint_in_a_bucket_is_fetched_by_folder_and_by_prefix(folders, model, tmp_path):
    with emulated_bucket() as bucket:
        for file in folders["tf1"].iterdir():
            storage.write_bytes(f"{bucket}/base/{file.name}", file.read_bytes())
        for name in ("base", "base/model.ckpt-best"):
            output = tmp_path / name.replace("/", "-")
            import_checkpoint(config=CheckpointConfig(path=f"{bucket}/{name}"), output=output)
            assert read_checkpoint(output).content_hash() == model.content_hash()
        elsewhere = CheckpointConfig(
            path=str(folders["tf1"] / "model.ckpt-best"),
            albert_config=f"{bucket}/base/albert_config.json",
            vocab=f"{bucket}/base/30k-clean.model",
        )
        import_checkpoint(config=elsewhere, output=tmp_path / "elsewhere")
    assert read_checkpoint(tmp_path / "elsewhere").content_hash() == model.content_hash()


def test_a_vocabulary_of_another_size_is_refused(goldens, folders, tmp_path):
    other = goldens / "tokenizer" / "2k-clean.model"
    config = CheckpointConfig(path=str(folders["hf"]), vocab=str(other))
    with pytest.raises(InputError, match="got 2,000 tokens, expected the model's vocab_size=120"):
        import_checkpoint(config=config, output=tmp_path / "out")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a folder this program knows"):
        import_checkpoint(config=CheckpointConfig(path=str(tmp_path)), output=tmp_path / "out")


def test_a_task_of_the_checkpoint_is_left_behind_and_its_head_kept(tokenizer, tmp_path):
    tuned = classifier(3, tokenizer=tokenizer, task={"name": "mnli"})
    save_release(tuned, tmp_path / "tuned")
    (tmp_path / "tuned" / "task.json").write_text('{"name": "mnli"}')
    import_checkpoint(
        config=CheckpointConfig(path=str(tmp_path / "tuned")), output=tmp_path / "out"
    )
    imported = read_checkpoint(tmp_path / "out")
    assert (imported.task, imported.heads) == (None, {"classifier"})


def test_its_output_is_the_runs_pretrained_place_and_the_start_of_a_lineage(folders, tmp_path):
    run = tmp_path / "run"
    output = run / "artifacts" / "albert-1" / "import-checkpoint" / "pretrained"
    import_checkpoint(config=CheckpointConfig(path=str(folders["hf"])), output=output)
    assert find_outputs(run).places() == {PRETRAINED_PLACE: str(output)}
    lineage = lineage_at(pretrained=output)
    assert lineage.checkpoint == read_manifest(output, step="checkpoint")
    assert lineage.pretrained is None
