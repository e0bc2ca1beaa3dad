"""How commands end where a package is missing or nobody reads on, and options without a value."""

import io
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from albert_core.errors import InputError
from pipeline import extras
from pipeline.cli import main as cli
from pipeline.cli.main import BROKEN_PIPE_STATUS, main
from pipeline.cli.parsing import CommandParser
from pipeline.cli.run_commands import run

ROOT = Path(__file__).resolve().parents[3]


def test_every_extra_that_is_named_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {extra for names in extras._EXTRAS.values() for extra in names.split(",")}
    assert named <= project["optional-dependencies"].keys()
    assert project["name"] == "albert-pipeline"


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("fastapi", ["serve", "model"], "serve"),
        ("safetensors", ["info", "{model}"], "train"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    package, arguments, extra, monkeypatch, capsys, tmp_path
):
    (tmp_path / "albert_config.json").write_text('{"vocab_size": 7}')
    (tmp_path / "model.safetensors").touch()
    loaded = [name for name in sys.modules if name.split(".")[0] == package]
    for name in [*loaded, package, "pipeline.serving.server", "pipeline.serving.app"]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert main([word.format(model=tmp_path) for word in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert package in line
    assert f"[{extra}]" in line


def test_a_package_of_no_extra_is_no_matter_of_installation():
    error = ModuleNotFoundError("No module named 'x'", name="x.y")
    assert extras.describe_missing_package("run", error) is None


@pytest.mark.parametrize(
    ("package", "has_text", "extra"),
    [("keras", False, "train"), ("kfp", True, "pipeline"), ("apache_beam", True, "data")],
)
def test_a_run_names_a_missing_package_before_it_starts(package, has_text, extra, monkeypatch):
    extras.refuse_missing_packages_of_run(has_text=has_text)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"run: needs the package {package}, .*\[{extra}\]"):
        extras.refuse_missing_packages_of_run(has_text=has_text)


def run_python(code: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, **options)


def test_the_help_needs_no_package_of_an_extra():
    names = [name for name in extras._EXTRAS if "." not in name and name != "google"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({names}))\n"
        "from pipeline.cli.main import main\n"
        "main(['--help'])\n"
        "main(['run', '--help'])\n"
        "main(['completion', 'bash'])\n"  # imports every command
    )
    result = run_python(code, stdout=subprocess.PIPE)
    assert result.returncode == 0, result.stderr
    assert "finetune" in result.stdout


def test_a_reader_that_has_gone_is_no_error():
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "from pipeline.cli.commands import CommandEntry\n"
        "def talk() -> None:\n"
        "    'Talk.'\n"
        "    print('word ' * 100_000)\n"
        "main.COMMANDS = {'talk': CommandEntry('', lambda: talk)}\n"
        "sys.exit(main.main(['talk']))\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as output:
        result = run_python(code, stdout=output)
    assert (result.returncode, result.stderr) == (BROKEN_PIPE_STATUS, "")


def test_ctrl_c_that_ended_the_reader_too_is_told_as_ever(monkeypatch, capfd):
    class GonePipe(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", GonePipe())
    monkeypatch.setattr(cli, "_run_arguments", lambda _: signal.raise_signal(signal.SIGINT))
    assert main(["info"]) == 130
    assert capfd.readouterr().err == "albert: interrupted; run again to continue\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--reconfigure"], True),
        (["--reconfigure", "--output", "x"], True),
        (["--reconfigure", "false"], False),
        (["--reconfigure=false"], False),
        ([], False),
    ],
)
def test_a_truth_value_may_be_given_as_its_name_alone(arguments, expected):
    parser = CommandParser(run)
    spelled = parser.spell_out(["--output", "out", *arguments][2 * ("x" in arguments) :])
    assert parser.parser.parse_args(spelled).reconfigure is expected


def test_a_truth_value_that_may_be_none_or_has_a_short_name_needs_no_value_either():
    spelled = CommandParser(run).spell_out(["--lower_case", "--checkpoint.strip_accents"])
    assert spelled == ["--checkpoint.lower_case", "true", "--checkpoint.strip_accents", "true"]


@pytest.mark.parametrize(
    "arguments", [["info"], ["serve"], ["report", "--output", "out"], ["run", "--tasks"]], ids=str
)
def test_a_name_that_is_too_long_is_refused_in_one_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "x" * 300]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("albert: error: ")


def test_a_run_needs_a_backend_that_there_is(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(InputError, match="KERAS_BACKEND: got 'torch', expected tensorflow or jax"):
        extras.refuse_missing_packages_of_run(has_text=False)
