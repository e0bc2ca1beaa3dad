"""`albert convert` and `albert info`: what they print, and how they refuse."""

from pathlib import Path

import pytest

from albert_core.checkpoints import read_checkpoint, save_folder, save_release
from albert_core.files.atomic import write_json
from albert_core.tokenization import SentencePieceTokenizer
from pipeline.cli.main import main
from tests.helpers.checkpoint_samples import names_in, pretrained
from tests.helpers.export_samples import SINGLE


@pytest.fixture
def release(tokenizer: SentencePieceTokenizer, tmp_path: Path) -> Path:
    save_release(pretrained(SINGLE, tokenizer=tokenizer), tmp_path / "release")
    return tmp_path / "release"


def lines_of(text: str) -> dict[str, str]:
    """Return the second column of a printed table by the first."""
    rows = (line.split("  ", 1) for line in text.splitlines() if not line.startswith(" "))
    return {name: value.strip() for name, value in rows}


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused; return the one line that says why."""
    assert main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("albert: error: ")
    return line


def test_convert_proves_itself(
    capsys: pytest.CaptureFixture[str], release: Path, tmp_path: Path
) -> None:
    output = tmp_path / "converted"
    assert main(["convert", str(release), str(output), "--to", "huggingface"]) == 0
    printed = lines_of(capsys.readouterr().out)
    outputs = ("sequence_output", "pooled_output", "masked_lm_logits", "sentence_order_logits")
    for name in outputs:
        assert printed[f"difference of {name}"] == "0"
    assert printed["heads"] == "masked LM, sentence order"
    assert names_in(tmp_path) == {"release", "converted"}


def test_convert_takes_vocabulary_and_configuration_from_elsewhere(
    release: Path, tmp_path: Path
) -> None:
    for name in ("albert_config.json", "30k-clean.model"):
        (release / name).rename(tmp_path / name)
    (release / "tokenizer_settings.json").unlink()
    status = main(
        [
            *("convert", str(release / "model.ckpt-best"), str(tmp_path / "out"), "--to", "keras"),
            *("--albert_config", str(tmp_path / "albert_config.json")),
            *("--vocab", str(tmp_path / "30k-clean.model"), "--lower_case", "false"),
            *("--strip_accents", "false"),
        ]
    )
    assert status == 0
    tokenizer = read_checkpoint(tmp_path / "out").tokenizer
    assert (tokenizer.lower_case, tokenizer.strip_accents) == (False, False)


def test_convert_refuses_bad_input(
    capsys: pytest.CaptureFixture[str], release: Path, tmp_path: Path
) -> None:
    source, output = str(release), str(tmp_path / "out")
    missing = str(tmp_path / "nowhere")
    assert "no folder" in refusal(capsys, "convert", missing, output, "--to", "keras")
    assert "choose a new" in refusal(capsys, "convert", source, source, "--to", "keras")
    assert "onnx" in refusal(capsys, "convert", source, output, "--to", "onnx")
    assert "--to: required, but not given" in refusal(capsys, "convert", source, output)
    (release / "model.ckpt-best.data-00000-of-00001").unlink()
    assert "copy it, too" in refusal(capsys, "convert", source, output, "--to", "keras")
    assert names_in(tmp_path) == {"release"}


def test_info_tells_what_a_checkpoint_is(capsys: pytest.CaptureFixture[str], release: Path) -> None:
    assert main(["info", str(release)]) == 0
    printed = lines_of(capsys.readouterr().out)
    assert printed["kind"] == "TensorFlow 1 checkpoint of the original"
    assert printed["vocabulary"] == "SentencePiece, 120 tokens, lower case"
    assert printed["parameters"].endswith(" in 32 variables")
    assert printed["global step"] == "0"


def test_info_tells_what_a_step_made(
    capsys: pytest.CaptureFixture[str], tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    save_folder(pretrained(SINGLE, tokenizer=tokenizer), tmp_path)
    assert main(["info", str(tmp_path)]) == 0
    assert lines_of(capsys.readouterr().out)["kind"] == "model folder"


def test_info_tells_what_an_export_is(
    capsys: pytest.CaptureFixture[str], tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"nothing of it is read")
    SINGLE.to_json_file(tmp_path / "albert_config.json")
    tokenizer.save(tmp_path)
    assert main(["info", str(tmp_path)]) == 0
    assert lines_of(capsys.readouterr().out)["kind"] == "export: ONNX, for ONNX Runtime"
    write_json(tmp_path / "parity.json", {"format": "onnx_int8", "differences": {"logits": 0.0123}})
    assert main(["info", str(tmp_path)]) == 0
    printed = lines_of(capsys.readouterr().out)
    assert printed["kind"].startswith("export: ONNX with weights of 8 bits")
    assert printed["vocabulary"] == "SentencePiece, 120 tokens, lower case"
    assert printed["difference of logits"] == "0.0123"


def test_info_refuses_what_it_does_not_know(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "not a folder this program knows" in refusal(capsys, "info", str(tmp_path))
