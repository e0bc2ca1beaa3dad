"""The images: what is in them, who they run as, and that they are what Beam and Dask ask for."""

import pytest

from albert_core.artifacts.manifest import code_version
from components.image import image_name, image_tag

ROLES = ("data", "trainer", "tpu")
STEPS = {
    "data": "components.records.beam_pipeline, albert_core.tokenization.kinds, distributed",
    "trainer": "albert_core.pretraining.program, albert_core.finetuning.program, "
    "components.report.page",
    "tpu": "albert_core.pretraining.program, jax",
}
ABSENT = {
    "data": ("tensorflow", "keras", "jax"),
    "trainer": ("apache_beam", "jax"),
    "tpu": ("apache_beam", "tensorflow", "torch"),
}


def run(engine, role, *command, **options) -> str:
    output = engine.containers.run(
        image_name(role), list(command), network_mode="none", remove=True, **options
    )
    return output.decode().strip()


@pytest.mark.parametrize("role", ROLES)
def test_its_size(engine, role, capsys):
    num_bytes = engine.images.get(image_name(role)).attrs["Size"]
    with capsys.disabled():
        print(f"\n{image_name(role)}: {num_bytes / 1e6:,.0f} MB")
    assert num_bytes < 4e9


@pytest.mark.parametrize("role", ROLES)
def test_it_runs_the_steps_of_its_role_and_no_others(engine, role):
    run(
        engine,
        role,
        "python",
        "-c",
        f"import {STEPS[role]}, kfp.dsl.executor_main, pipeline.cli.main",
    )
    for module in ABSENT[role]:
        found = f"import importlib.util; print(importlib.util.find_spec({module!r}))"
        assert run(engine, role, "python", "-c", found) == "None"


@pytest.mark.parametrize("role", ROLES)
def test_it_holds_these_sources_and_says_so(engine, role):
    code = "from albert_core.artifacts.manifest import code_version; print(code_version())"
    assert run(engine, role, "python", "-c", code) == code_version()
    attributes = engine.images.get(image_name(role)).attrs["Config"]
    assert attributes["Labels"]["org.opencontainers.image.revision"] == image_tag()
    assert attributes["Labels"]["org.opencontainers.image.version"] == "0.1.0"
    assert "Healthcheck" not in attributes


@pytest.mark.parametrize("role", ROLES)
def test_it_is_not_root_and_cannot_change_itself(engine, role):
    assert run(engine, role, "id", "-u") == "1000"
    changed = "touch /app/x || touch /opt/albert/x || echo refused"
    assert run(engine, role, "sh", "-c", changed).endswith("refused")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("user", ["1000:0", "12345:0"])
def test_any_user_has_room_for_artifacts_and_work(engine, role, user):
    places = " && ".join(f"touch {place}/x" for place in ("/gcs", "/minio", "/s3", "/tmp", "$HOME"))
    assert run(engine, role, "sh", "-c", f"{places} && echo there is", user=user) == "there is"


@pytest.mark.parametrize("role", ROLES)
def test_it_has_the_command_line(engine, role):
    assert "as one resumable pipeline" in run(engine, role, "albert", "--help")
    # Imports the modules of all commands, whose packages of extras it must not need.
    assert "--pretraining.seed" in run(engine, role, "albert", "completion", "bash")


def test_the_trainers_have_no_installer(engine):
    for role in ("trainer", "tpu"):
        code = "import importlib.util; print(importlib.util.find_spec('pip'))"
        assert run(engine, role, "python", "-c", code) == "None"


def test_beam_finds_in_the_data_image_what_its_boot_asks_for(engine):
    assert "Version: 2.77.0" in run(engine, "data", "python", "-m", "pip", "show", "apache-beam")
    script = "test -d /opt/apache/beam && echo $RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT"
    assert run(engine, "data", "sh", "-c", script) == "1"


def test_the_data_image_has_java_for_beams_job_servers(engine):
    if not run(engine, "data", "ls", "/opt/java/openjdk"):
        pytest.skip("built without Java (docker/README.md)")
    assert "java" in run(engine, "data", "sh", "-c", "java -version 2>&1")
