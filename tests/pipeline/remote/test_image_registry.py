"""Whether an image is in its registry, asked of a registry on loopback."""

import base64
import json
import sys

import pytest

from albert_core.errors import InputError, ServiceError
from pipeline.remote.image_registry import check_image, parse_image
from tests.helpers.fakes.loopback import Answer, loopback
from tests.helpers.fakes.registry import Registry
from tests.helpers.platforms import CALLS

USER = ("robot", "pass:word")
IMAGE = "albert/albert-python-data:src-1"


@pytest.fixture(autouse=True)
def docker_config(tmp_path, monkeypatch):
    """An empty folder for Docker's settings, so that none of this machine's are used."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def check(server, image=IMAGE):
    check_image(f"127.0.0.1:{server.port}/{image}", CALLS)


@pytest.mark.parametrize("login", ["", "bearer"])
def test_an_image_that_anybody_may_pull(login):
    with loopback(Registry(IMAGE, login=login)) as server:
        check(server)
        call = server.sent("GET")[0]
        assert call.path == "/v2/albert/albert-python-data/manifests/src-1"
        assert "application/vnd.oci.image.index.v1+json" in call.headers["accept"]


@pytest.mark.parametrize("login", ["basic", "bearer"])
def test_an_image_that_docker_login_opens(login, docker_config):
    with loopback(Registry(IMAGE, login=login, user=USER)) as server:
        encoded = base64.b64encode(":".join(USER).encode()).decode()
        logins = {f"127.0.0.1:{server.port}": {"auth": encoded}}
        docker_config.write_text(json.dumps({"auths": logins}))
        check(server)


def test_an_image_that_a_credential_helper_opens(docker_config, monkeypatch):
    helper = docker_config.parent / "docker-credential-test"
    answer = json.dumps({"Username": USER[0], "Secret": USER[1]})
    helper.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker_config.parent), prepend=":")
    docker_config.write_text(json.dumps({"credsStore": "test"}))
    with loopback(Registry(IMAGE, login="basic", user=USER)) as server:
        check(server)


def test_a_credential_helper_that_is_not_installed(docker_config):
    docker_config.write_text(json.dumps({"credsStore": "absent"}))
    with (
        loopback(Registry(IMAGE, login="basic", user=USER)) as server,
        pytest.raises(InputError, match="docker-credential-absent, which is not installed"),
    ):
        check(server)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "config.json: not JSON"),
        ("[]", "config.json: got a list, expected an object"),
        ('{"auths": []}', "config.json: auths: got a list, expected an object"),
        ('{"auths": {"HOST": 5}}', "HOST: got the number 5, expected an object"),
        ('{"auths": {"HOST": {"auth": 5}}}', "got the number 5 as 'auth of HOST', expected text"),
        ('{"auths": {"HOST": {"auth": "%&a"}}}', "auth of HOST: not the base64 of user:password"),
        ('{"auths": {"HOST": {"auth": "cm9ib3Q="}}}', "auth of HOST: not the base64"),  # robot
        ('{"credsStore": ["a"]}', "got a list as 'the credential helper', expected text"),
        ('{"credsStore": "test"}', "docker-credential-test: not JSON .*; expected a login; run `d"),
        ('{"credHelpers": {"HOST": "test"}}', "docker-credential-test: not JSON"),
    ],
)
def test_a_configuration_of_docker_in_another_form(config, message, docker_config, monkeypatch):
    helper = docker_config.parent / "docker-credential-test"
    helper.write_text("#!/bin/sh\necho locked\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker_config.parent), prepend=":")
    with loopback(Registry(IMAGE, login="bearer", user=USER)) as server:
        host = f"127.0.0.1:{server.port}"
        docker_config.write_text(config.replace("HOST", host))
        with pytest.raises(InputError, match=message.replace("HOST", host)):
            check(server)


@pytest.mark.parametrize("config", ['{"auths": null}', '{"credHelpers": null}', "{}"])
def test_a_configuration_of_docker_without_logins(config, docker_config):
    docker_config.write_text(config)
    with loopback(Registry(IMAGE, login="bearer")) as server:
        check(server)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"<html>Log in</html>"), "image .*: the registry .*: not JSON .* log in where"),
        (Answer([]), "got a list, expected an object"),
        (Answer({"manifests": {}}), "got an object as 'manifests', expected a list"),
        (Answer({"manifests": [5]}), r"manifests\[0\]: got the number 5"),
        (Answer({"manifests": [{"platform": "linux"}]}), "got the text 'linux', expected an obj"),
        (Answer({"config": {}}), "got no 'digest'"),
        (Answer({}, 401), "asks for a login by '', expected Basic, or Bearer with an address"),
        (Answer({}, 401, {"WWW-Authenticate": 'Bearer realm="here"'}), "by 'Bearer realm="),
    ],
)
def test_what_is_no_registry(answer, message):
    with loopback(lambda _: answer) as server, pytest.raises(InputError, match=message):
        check(server)


def test_a_token_that_is_none():
    registry = Registry(IMAGE, login="bearer")
    with (
        loopback(lambda call: Answer([]) if call.path == "/token" else registry(call)) as server,
        pytest.raises(InputError, match=r"its tokens at http://.*/token: got a list"),
    ):
        check(server)


def test_an_image_that_is_not_there():
    with (
        loopback(Registry()) as server,
        pytest.raises(InputError, match=r"src-1: not in the registry; push it with `make images"),
    ):
        check(server)


def test_an_image_that_is_closed():
    with (
        loopback(Registry(IMAGE, login="basic", user=USER)) as server,
        pytest.raises(ServiceError, match=r"image 127.*: the registry 127.* answered 401"),
    ):
        check(server)


@pytest.mark.parametrize("failure", [503, "drop before", "hang"])
def test_a_registry_that_fails_once_is_asked_again(failure):
    with loopback(Registry(IMAGE)) as server:
        server.fail("GET", "/v2/", failure)
        check(server)
        assert len(server.sent("GET")) == 2


@pytest.mark.parametrize("is_index", [False, True])
def test_an_image_for_other_processors_alone(is_index):
    options = {"is_index": is_index, "login": "bearer"}
    with (
        loopback(Registry(IMAGE, architectures=("arm64",), **options)) as server,
        pytest.raises(InputError, match=r"src-1: for linux/arm64, expected one for linux/amd64"),
    ):
        check(server)
    names = ("arm64", "amd64") if is_index else ("amd64",)
    with loopback(Registry(IMAGE, architectures=names, **options)) as server:
        check(server)


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("gcr.io/proj/data", ("gcr.io", "proj/data", "latest")),
        ("localhost/data:1", ("localhost", "data", "1")),
        ("host:5000/a/b:1.0", ("host:5000", "a/b", "1.0")),
        ("eu.gcr.io/a@sha256:12ab", ("eu.gcr.io", "a", "sha256:12ab")),
        ("eu.gcr.io/a:1@sha256:12ab", ("eu.gcr.io", "a", "sha256:12ab")),
    ],
)
def test_the_parts_of_a_name(image, parts):
    found = parse_image(image)
    assert (found.registry, found.repository, found.reference) == parts


@pytest.mark.parametrize("image", ["https://gcr.io/a:1", "gcr.io/A:1", "gcr.io/a b", "gcr.io/a/"])
def test_what_is_no_name_of_an_image(image):
    with pytest.raises(InputError, match="expected host/path"):
        parse_image(image)


@pytest.mark.parametrize("image", ["local/albert-python-data:src-1", "python:3.11"])
def test_an_image_of_this_machine_alone(image):
    with pytest.raises(InputError, match="set ALBERT_REGISTRY"):
        parse_image(image)
