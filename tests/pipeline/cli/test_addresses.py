"""Every path argument of every command: addresses in buckets work or are refused, as is all else.

Nothing may be written into a local folder that is named after an address.
"""

import json
from pathlib import Path

import pytest

from pipeline.cli.main import main

TEXT = "The sea rises twice a day.\nThe moon pulls it.\n\nSalt is old.\nIt keeps.\n"

# The command line, with X for the argument that is tried; others name files that are there.
EVERYWHERE = [
    "vocab --corpus X --output out",
    "vocab --corpus text.txt --vocab.source X --output out",
    "vocab --corpus text.txt --vocab.size 30 --output X",
    "vocab --config X --output out",
    "vocab --vocab X --corpus text.txt --output out",
    "records --corpus X --vocab_dir vocab.txt --output out",
    "records --corpus text.txt --vocab_dir X --output out",
    "records --corpus text.txt --vocab_dir vocab.txt --output X",
    "records --corpus text.txt --vocab_dir vocab.txt --output out --beam.shared_folder X",
    "records --corpus text.txt --vocab_dir vocab.txt --output out --beam.shared_folder work "
    "--beam.runner flink --beam.flink_master host:8081 --beam.job_server_jar X",
    "records --corpus text.txt --vocab_dir vocab.txt --output out "
    '--cleaning.evaluation_sets {"a":["X"]}',
    "finetune --task X.yaml --data_dir data --pretrained_dir model --output out",
    "finetune --task rte --data_dir X --pretrained_dir model --output out",
    "evaluate --data_dir data --finetuned_dirs X --output out",
    "report --vocab_dir X --records_dir a --pretrained_dir a --finetuned_dirs a "
    "--evaluation_dirs a --output out",
    "export X --to onnx --output out",
    "card X --output card.md",
    "convert X out --to tf1",
    "info X",
    "serve X",
    "predict X text.txt",
    "predict model X",
    "predict model text.txt --output X",
    "embed X text.txt --output vectors.npy",
    "embed model X --output vectors.npy",
    "embed model text.txt --output X",
    "compile --config run.yaml --output X --target vertex --work_root gs://bucket/work",
    "compile --config run.yaml --output out.yaml --target vertex --work_root X",
    "compile --config run.yaml --output o.yaml --target vertex --work_root gs://b/w --resources X",
    "estimate --accelerator v5e-4 --prices X",
    "run --config run.yaml --corpus X --output out",
    "run --checkpoint X --tasks rte --data_dir data --output out",
    "run --checkpoint data --albert_config X --tasks rte --data_dir data --output out",
    "serve model --albert_config X --port 0",
    "predict model text.txt --albert_config X",
    "run --config run.yaml --corpus text.txt --data_dir X --output out",
    "run --config run.yaml --output X",
]
LOCAL_ONLY = [
    "convert vocab.txt X --to tf1",
    "convert model.ckpt out --to tf1 --albert_config X",
]
WRONG = ["s3:/bucket/x", "gs:/bucket/x", "hf://owner/x", "file:///x"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "text.txt").write_text(TEXT * 9)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sea", "."]
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    (tmp_path / "data").mkdir()
    values = {"tasks": ["rte"], "corpus": {"files": ["gs://bucket/a"]}, "data_dir": "gs://bucket/d"}
    (tmp_path / "run.yaml").write_text(json.dumps(values))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALBERT_REGISTRY", "europe-docker.pkg.dev/a/b")
    return tmp_path


@pytest.mark.parametrize("line", EVERYWHERE + LOCAL_ONLY)
def test_other_storage_and_misspelt_addresses_are_refused(line, folder, capsys):
    before = sorted(folder.rglob("*"))
    for address in WRONG:
        assert main(line.replace("X", address).split(" ")) == 2, address
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.startswith("albert: error: ")
        assert address in message
        meant = ("expected a local path or gs://", "expected gs://bucket", "expected s3://bucket")
        assert any(text in message for text in meant)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("address", ["gs://bucket/x", "s3://bucket/x"])
@pytest.mark.parametrize("line", LOCAL_ONLY)
def test_what_must_be_local_is_refused_in_the_cloud(line, address, folder, capsys):
    before = sorted(folder.rglob("*"))
    assert main(line.replace("X", address).split(" ")) == 2
    assert f"{address}: got an address in the cloud, expected a local" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_names_with_commas_and_brackets_are_taken_from_the_command_line(folder, capsys):
    names = ["one, two.txt", "[1] three.txt", "[ab]"]
    for name in names:
        (folder / name).write_text(TEXT * 9)
    for number, files in enumerate([*names, ",".join(["text.txt", *names]), "[0-9o]*.txt"]):
        arguments = ["--corpus", files, "--vocab.size", "30", "--output", f"out{number}"]
        status = main(["vocab", *arguments, "--vocab.kind", "wordpiece"])
        message = capsys.readouterr().err
        assert status == 0 or "vocab.size" in message, message
