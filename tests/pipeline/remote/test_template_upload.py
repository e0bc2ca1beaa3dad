"""Compiled pipelines as templates in a repository, by kfp's own client, on loopback."""

import hashlib
import re
from pathlib import Path

import pytest
from google.auth import credentials

from albert_core.errors import InputError, ServiceError
from components.service_calls import CallConfig
from pipeline.cli.main import main
from pipeline.remote import template_upload
from pipeline.remote.template_upload import check_repository, upload_template
from tests.helpers.fakes.loopback import Answer, Call, loopback
from tests.helpers.platforms import CALLS, SHORT_TIMEOUTS

TEXT = (Path(__file__).parent / "goldens" / "vertex.yaml").read_text(encoding="utf-8")


class Repository:
    """A repository of templates.

    Attributes:
        versions: Content by the name of its version.
        tags: Versions by their tags.
    """

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.tags: dict[str, str] = {}

    def __call__(self, call: Call) -> Answer:
        assert (call.method, call.path) == ("POST", "/proj/templates")
        fields = parts_of(call.body, call.headers["content-type"])
        version = f"sha256:{hashlib.sha256(fields['content'].encode()).hexdigest()}"
        self.versions[version] = fields["content"]
        self.tags |= dict.fromkeys(fields["tags"].split(","), version)
        return Answer(f"albert/{version}".encode())


def parts_of(body: str, content_type: str) -> dict[str, str]:
    """The fields of a form with files."""
    parts = body.split(f"--{content_type.partition('boundary=')[2]}")[1:-1]
    fields = {}
    for part in parts:
        header, _, content = part.strip("\r\n").partition("\r\n\r\n")
        fields[re.search(r'name="(\w+)"', header)[1]] = content
    return fields


@pytest.fixture
def server():
    with loopback(Repository()) as started:
        yield started


def upload(server, tags=("latest", "v1"), calls=CALLS, text=TEXT) -> str:
    return upload_template(text, f"{server.address}/proj/templates", tags, calls)


def test_the_template_is_uploaded_as_it_is_and_tagged(server):
    address = upload(server)
    ((version, content),) = server.service.versions.items()
    assert content.strip() == TEXT.strip()
    assert server.service.tags == {"latest": version, "v1": version}
    assert address == f"{server.address}/proj/templates/albert/{version}"


@pytest.mark.parametrize("failure", [429, 503, "drop before", "drop after", "hang"])
def test_a_call_that_fails_once_is_repeated_and_makes_one_version(server, failure):
    server.fail("POST", "/proj/templates", failure)
    upload(server, calls=CallConfig(timeout_s=0.5, retry_for_s=30.0, first_pause_s=0.02))
    assert len(server.service.versions) == 1


@pytest.mark.parametrize(
    ("failures", "message"),
    [
        ([403], r"upload: the repository http://127.* answered 403, permission denied"),
        ([404], "answered 404, not found"),
        (["hang"] * 9, "no answer in time"),
    ],
)
def test_what_is_refused_is_told_in_one_line(server, failures, message):
    server.fail("POST", "/proj/templates", *failures)
    with pytest.raises(ServiceError, match=message):
        upload(server, calls=SHORT_TIMEOUTS)


def test_a_server_that_is_no_repository_is_told(server):
    server.service = lambda call: Answer(b"<html>")
    with pytest.raises(ServiceError, match=r"answered with no version, expected PACKAGE/VERSION"):
        upload(server)


@pytest.mark.parametrize(
    ("repository", "tags", "target", "message"),
    [
        ("https://us-central1-kfp.pkg.dev/proj/templates", (), "kubeflow", "--target vertex"),
        ("us-central1-kfp.pkg.dev/proj/templates", (), "vertex", "--upload: got 'us-central1"),
        ("https://us-central1-docker.pkg.dev/proj/albert", (), "vertex", "of the format kfp"),
        ("https://us-central1-kfp.pkg.dev/proj", (), "vertex", "expected the address"),
        ("http://example.org/proj/templates", (), "vertex", "expected the address"),
        ("https://us-central1-kfp.pkg.dev/proj/templates", ("V 1",), "vertex", "got 'V 1'"),
    ],
)
def test_impossible_repositories_and_tags_are_refused(repository, tags, target, message):
    with pytest.raises(InputError, match=message):
        check_repository(repository, tags, target=target)


def test_tags_of_nothing_that_is_uploaded_are_refused(tmp_path, capsys):
    options = ["--target", "vertex", "--work_root", "gs://bucket/work", "--upload_tags", "v1"]
    assert main(["compile", *options, "--output", str(tmp_path / "albert.yaml")]) == 2
    assert "--upload_tags: got v1 without --upload" in capsys.readouterr().err


class Credentials(credentials.Credentials):
    """Credentials that have no token until they are refreshed."""

    def refresh(self, request):
        self.token = "fresh"


def test_credentials_are_refreshed_and_sent(server, monkeypatch):
    given = Credentials()
    monkeypatch.setattr(template_upload, "_credentials", lambda repository: given)
    upload(server)
    (call,) = server.calls
    assert call.headers["authorization"] == "Bearer fresh"


def test_without_credentials_nothing_is_sent(monkeypatch):
    monkeypatch.setattr(template_upload, "find_credentials", lambda scopes: None)
    repository = "https://us-central1-kfp.pkg.dev/proj/templates"
    check_repository(repository, ("latest",), target="vertex")
    with pytest.raises(InputError, match="no Google credentials"):
        upload_template(TEXT, repository, ("latest",), CALLS)
