"""Accepted models in the Vertex AI Model Registry, by Google's client, on loopback."""

import dataclasses
import json

import pytest

from albert_core.artifacts.step import run_step
from albert_core.errors import InputError, ServiceError
from albert_core.files.atomic import write_json
from albert_core.settings import parse_settings
from components.register.config import VertexModelsConfig
from components.register.serving import container_spec
from components.register.step import model_id, register_models
from pipeline.cli import main as cli
from pipeline.config import RunConfig
from pipeline.remote.compilation import _vertex_models
from tests.helpers.fakes.loopback import loopback
from tests.helpers.fakes.vertex import Vertex
from tests.helpers.platforms import CALLS, SHORT_TIMEOUTS

MODEL = "projects/proj/locations/us-central1/models/albert-cola"
IMAGE = "us-docker.pkg.dev/proj/albert/albert-python-trainer:src-0123456789ab"


@pytest.fixture
def server():
    with loopback(Vertex()) as started:
        yield started


@pytest.fixture
def config(server):
    return VertexModelsConfig(
        project="proj",
        location="us-central1",
        format="onnx",
        image=IMAGE,
        labels={"team": "language"},
        endpoint=server.address,
    )


def made(folder, step, name, value):
    """The output of a step with one file."""

    def body(results, _):
        write_json(results / name, value)
        return {}

    run_step(step, config={"value": str(value)}, inputs={}, output=folder, body=body)
    return folder


def exports_of(**formats):
    return {"models": [{"task": task, "differences": given} for task, given in formats.items()]}


def enter(promotion, exported, address, config, output, *, date="2026-11-23", calls=CALLS):
    """Run the step."""
    register_models(
        promotion=promotion,
        exported=exported,
        address=address,
        config=config,
        date=date,
        title="weekly",
        output=output,
        calls=calls,
    )


def register(tmp_path, config, *, promoted=True, exports=None, date="2026-11-23", calls=CALLS):
    """Run the step on a decision and exports; returns its registration.json."""
    promotion = made(
        tmp_path / f"promotion-{date}", "promote", "promotion.json", {"is_promoted": promoted}
    )
    exported = made(
        tmp_path / f"exported-{date}",
        "export",
        "export.json",
        exports or exports_of(cola={"onnx": 0.0, "saved_model": 0.0}),
    )
    output, address = tmp_path / f"registration-{date}", f"gs://bucket/run-{date}/exported"
    enter(promotion, exported, address, config, output, date=date, calls=calls)
    return json.loads((output / "registration.json").read_text())


def test_a_model_is_entered_with_its_files_and_the_container_that_serves_them(
    tmp_path, config, server
):
    found = register(tmp_path, config)
    assert found == {"date": "2026-11-23", "models": {"cola": f"{MODEL}@1"}}
    (version,) = server.service.models[MODEL]
    request = version["labels"].pop("albert-request")
    assert len(request) == 32
    assert version == {
        "name": MODEL,
        "versionId": "1",
        "displayName": "albert-cola",
        "versionDescription": "weekly, 2026-11-23",
        "versionAliases": ["default"],
        "artifactUri": "gs://bucket/run-2026-11-23/exported/cola/onnx",
        "labels": {"team": "language", "date": "2026-11-23"},
        "containerSpec": {
            "imageUri": IMAGE,
            "command": ["albert", "serve", "$(AIP_STORAGE_URI)"],
            "args": [
                *("--host", "0.0.0.0", "--port", "8080", "--model_name", "albert"),
                *("--max_body_bytes", "1500000", "--max_connections", "512"),
                *("--max_connections_per_address", "512"),
            ],
            "ports": [{"containerPort": 8080}],
            "predictRoute": "/v1/models/albert:predict",
            "healthRoute": "/healthz",
        },
    }


def test_the_container_takes_the_command_as_it_stands(monkeypatch):
    """`albert serve` parses it, once Vertex AI has replaced the variable."""
    spec, given = container_spec(IMAGE), []

    def serve(model, config, *, reading):
        given.append((model, config))

    monkeypatch.setattr("pipeline.serving.server.run_server", serve)
    command = [*spec["command"], *spec["args"]]
    words = [word.replace("$(AIP_STORAGE_URI)", "gs://bucket/copy") for word in command[1:]]
    assert cli.main(words) == 0
    ((model, settings),) = given
    assert (model, settings.port, settings.model_name) == ("gs://bucket/copy", 8080, "albert")


def test_a_later_run_is_a_further_version(tmp_path, config, server):
    register(tmp_path, config)
    found = register(tmp_path, config, date="2026-11-30")
    assert found["models"] == {"cola": f"{MODEL}@2"}
    assert [version["labels"]["date"] for version in server.service.models[MODEL]] == [
        "2026-11-23",
        "2026-11-30",
    ]


@pytest.mark.parametrize("failure", [429, 503, "hang", "drop before", "drop after"])
def test_a_call_that_fails_once_enters_one_version(tmp_path, config, server, failure):
    server.fail("POST", ":upload", failure)
    register(tmp_path, config)
    assert len(server.service.models[MODEL]) == 1


def test_a_repeated_step_finds_what_it_entered(tmp_path, config, server):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        assert register(tmp_path / folder, config)["models"] == {"cola": f"{MODEL}@1"}
    assert len(server.sent("POST", ":upload")) == 1


@pytest.mark.parametrize(
    ("promoted", "exports"),
    [
        (False, exports_of(cola={"onnx": 0.0})),
        (True, exports_of(cola={"saved_model": 0.0}, rte={})),  # another format; held back
    ],
)
def test_nothing_is_entered_of_what_was_not_accepted_or_exported(
    tmp_path, config, server, promoted, exports
):
    found = register(tmp_path, config, promoted=promoted, exports=exports)
    assert found["models"] == {}
    assert not server.calls


def test_a_damaged_list_of_exports_is_named(tmp_path, config):
    promotion = made(tmp_path / "promotion", "promote", "promotion.json", {"is_promoted": True})
    exported = made(tmp_path / "exported", "export", "export.json", exports_of())
    (exported / "export.json").write_text("{")
    with pytest.raises(InputError, match=r"export\.json: damaged .*; make it again"):
        enter(promotion, exported, "gs://bucket/exported", config, tmp_path / "registration")


def test_a_refusal_of_the_registry_is_told(tmp_path, config, server):
    server.fail("POST", ":upload", 403)
    with pytest.raises(ServiceError, match=r"model albert-cola: Vertex AI in us-central1 answered"):
        register(tmp_path, config, calls=SHORT_TIMEOUTS)


def test_models_outside_of_google_storage_are_refused(tmp_path, config):
    with pytest.raises(InputError, match="expected a gs:// address"):
        enter(tmp_path, tmp_path, "s3://bucket/exported", config, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [("albert", "sst-2", "albert-sst-2"), ("mine", "My Täsk!", "mine-my-t-sk-")],
)
def test_names_are_those_that_vertex_takes(name, task, expected):
    assert model_id(name, task) == expected


def test_a_name_that_is_too_long_is_refused():
    with pytest.raises(InputError, match="has 75 characters, expected 63 at most"):
        model_id("albert", "t" * 68)


RUN = {
    "retraining": {"accepted": "gs://bucket/accepted"},
    "export": {"formats": ["onnx"]},
    "vertex_models": {"project": "proj", "location": "us-central1"},
}


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("retraining", {}, r"vertex_models\.project: got proj without retraining\.accepted"),
        ("export", {}, r"vertex_models\.project: got proj without export\.formats"),
        ("vertex_models", {"project": "proj"}, r"vertex_models\.location: got nothing"),
        ("vertex_models", {"location": "us-central1"}, r"vertex_models\.project: got nothing"),
        (
            "vertex_models",
            {"name": "news"},
            r"vertex_models\.project: got nothing with vertex_models\.name, ",
        ),
        (
            "vertex_models",
            {**RUN["vertex_models"], "format": "litert"},
            r"vertex_models\.format: got litert, expected one of export\.formats: onnx",
        ),
        ("vertex_models", {**RUN["vertex_models"], "name": "My"}, r"vertex_models\.name: got 'My'"),
        *(
            ("vertex_models", {**RUN["vertex_models"], name: value}, rf"vertex_models\.{name}: got")
            for name, value in (
                ("project", "My Project"),
                ("location", "us-central1-a"),
                ("labels", {"Team": "x"}),
            )
        ),
    ],
)
def test_settings_that_register_nothing_are_refused(section, values, message):
    parse_settings(RunConfig, RUN, source="run")
    with pytest.raises(InputError, match=message):
        parse_settings(RunConfig, {**RUN, section: values}, source="run")


def test_format_and_image_are_the_runs_where_they_are_not_set(monkeypatch):
    monkeypatch.setenv("ALBERT_REGISTRY", "registry.example.org")
    config = parse_settings(RunConfig, RUN, source="run")
    values = _vertex_models(config)
    assert values["format"] == "onnx"
    assert values["image"].startswith("registry.example.org/albert-python-trainer:")
    given = dataclasses.replace(config.vertex_models, image="mine:1")
    assert _vertex_models(dataclasses.replace(config, vertex_models=given))["image"] == "mine:1"
