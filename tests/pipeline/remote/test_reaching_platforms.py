"""A platform that is not reached, not trusted, not logged in to or too old: why, in one line."""

import functools
import socket
import ssl

import pytest

from albert_core.errors import InputError, ServiceError
from albert_core.network.certificates import certificates_file
from albert_core.network.first_answer import interactive
from albert_core.object_storage.google import client as google_client
from components.service_calls import CallConfig, Service
from pipeline.remote.image_registry import check_image
from pipeline.remote.platforms.kubeflow.client import KubeflowPlatform
from pipeline.remote.platforms.kubeflow.config import KubeflowConfig
from pipeline.remote.platforms.registry import connect
from pipeline.remote.platforms.vertex.config import VertexConfig
from tests.helpers.certificates import make_authority
from tests.helpers.fakes.kubeflow import Kubeflow
from tests.helpers.fakes.loopback import Answer, loopback
from tests.helpers.fakes.storage import refused_login
from tests.helpers.fakes.vertex import Vertex
from tests.helpers.platforms import running
from tests.helpers.reaching import NO_HOST, isolate, log_in
from tests.helpers.reaching import refusal as refusal_of

IMAGE = "europe-docker.pkg.dev/p/albert:1"


def reach(kind, address, **calls):
    """Return the platform at an address."""
    is_kubeflow = kind == "kubeflow"
    return connect(
        target=kind,
        kubeflow=KubeflowConfig(host=address) if is_kubeflow else KubeflowConfig(),
        vertex=VertexConfig()
        if is_kubeflow
        else VertexConfig(project="p", location="us-central1", endpoint=address),
        calls=CallConfig(**calls),
    )


def call(platform):
    """Make a call that changes nothing."""
    platform.check_server(runs_pipeline=False)
    return platform.service.call("look", lambda timeout_s: platform.find_schedules(None, timeout_s))


def refusal(function, error=ServiceError):
    """Return the one line that a call is refused with, which takes less than 10 s."""
    return refusal_of(function, error)


@pytest.fixture(scope="module", autouse=True)
def imported():
    """Import both clients, so that no test's time is that of an import."""
    import google.cloud.aiplatform_v1  # noqa: F401
    import kfp  # noqa: F401


@pytest.fixture(autouse=True)
def somebody_waits(monkeypatch):
    isolate(monkeypatch)
    with interactive():
        yield


@pytest.fixture
def login(monkeypatch, tmp_path):
    """Log in at Google with credentials whose tokens come from an address."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return functools.partial(log_in, monkeypatch, tmp_path)


def granted_login(_):
    return Answer({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"})


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("kubeflow.example.org/pipeline", "such as https://kubeflow.example.org/pipeline"),
        ("localhost:8080", "with http:// or https://, such as http://localhost:8080"),
        ("127.0.0.1:8080", "such as http://127.0.0.1:8080"),
        ("ftp://kubeflow.example.org", "expected an address with http:// or https://"),
        ("https://k.example/pipeline/#/runs", "that of the server: https://k.example/pipeline"),
        ("https://k.example/#/experiments?ns=x", "that of the server: https://k.example"),
        ("https://k.example:8443/pipeline/?ns=x", "server: https://k.example:8443/pipeline"),
        ("https://k.example/pipeline/apis/v2beta1/runs", "server: https://k.example/pipeline"),
        ("https://me:s3cr3t@k.example/pipeline", "expected https://k.example/pipeline without"),
        ("me:s3cr3t@k.example", "expected an address with http:// or https://"),
        ("http://me:s3cr3t@k.example:http", "'http://***@k.example:http', no address"),
        ("http://me:s3cr3t@k.example pipeline", "got 'http://***@k.example pipeline', expected"),
        ("http://me:s3cr3t@", "got 'http://***@', expected"),
        ("http://me:s3cr3t/2@k.example", "k.example', no address, and with a user's name"),
        ("http://me:12/s3cr3t@k.example/#/x", "got 'http://***@k.example/#/x', expected an"),
        ("http://me:s3cr3t@k.example\u2100", "expected https://kubeflow.example.org"),
        ("https://", "expected an address such as"),
        ("https:// k.example", "expected an address such as"),
        ("https://k.example:http", "expected https://kubeflow.example.org"),
        ("https://[k", "expected https://kubeflow.example.org"),
    ],
)
def test_what_is_no_address_of_kubeflow(host, said):
    message = refusal(lambda: KubeflowConfig(host=host), InputError)
    assert message.startswith("kubeflow.host: got ")
    assert said in message
    assert "s3cr3t" not in message


@pytest.mark.parametrize("host", ["http://localhost:8080", "https://k.example/pipeline/"])
def test_what_is_an_address_of_kubeflow(host):
    assert KubeflowConfig(host=host).host == host


def test_roots_in_buckets_of_impossible_names():
    for make in (
        lambda: KubeflowConfig(root="gs://My_Bucket/x"),
        lambda: KubeflowConfig(root="minio://x", work_root="gs://-x/y"),
        lambda: KubeflowConfig(root="s3://my_bucket/x"),
        lambda: VertexConfig(root="gs://my bucket/runs"),
    ):
        assert "got the bucket" in refusal(make, InputError)


@pytest.mark.parametrize(
    ("root", "work_root"),
    [("gs://bucket/x", "gs://bucket/x/work"), ("s3://bucket/x", "s3://bucket/x/work")],
)
def test_work_in_progress_is_in_the_root(root, work_root):
    config = KubeflowConfig(host="http://localhost:8080", root=root)
    assert KubeflowPlatform(config, CallConfig()).work_root == work_root


def test_a_root_that_steps_do_not_reach_needs_a_work_root():
    config = KubeflowConfig(host="http://localhost:8080", root="minio://bucket/x")
    said = refusal(lambda: KubeflowPlatform(config, CallConfig()).work_root, InputError)
    assert "kubeflow.work_root: got nothing with kubeflow.root=minio://bucket/x" in said
    assert said.endswith("expected a folder in gs:// or s3://")


@pytest.mark.parametrize("kind", ["kubeflow", "vertex"])
def test_a_private_authority_is_named_and_its_certificate_can_be_set(
    kind, login, tmp_path, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")  # so that the test's end removes it
    authority = make_authority(tmp_path)
    service = Kubeflow() if kind == "kubeflow" else Vertex()
    with loopback(granted_login) as google, loopback(service, authority.context) as server:
        login(google.address)
        said = refusal(lambda: call(reach(kind, server.address)))
        assert "its certificate is not trusted (unable to get local issuer certificate)" in said
        assert "TLS is intercepted, or its CA is private" in said
        assert "calls.ca_certificates" in said
        assert not server.calls
        trusting = reach(kind, server.address, ca_certificates=str(authority.certificate))
        assert call(trusting) == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_certificates(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    said = refusal(lambda: reach("kubeflow", "http://k", ca_certificates=str(path)), InputError)
    assert said.startswith(f"calls.ca_certificates {path}: ")


@pytest.mark.parametrize("kind", ["kubeflow", "vertex"])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"https://{NO_HOST}", "its name cannot be resolved: no network, or no such"),
        ("https://127.0.0.1:{free}", "nothing listens there; check host and port"),
        ("https://127.0.0.1:{plain}", "it does not speak TLS; check scheme"),
    ],
)
def test_a_server_that_was_never_reached_is_given_up_in_seconds(kind, address, said, login):
    with (
        loopback(granted_login) as google,
        loopback(Kubeflow()) as server,
        socket.socket() as unused,
    ):
        login(google.address)
        unused.bind(("127.0.0.1", 0))
        address = address.format(free=unused.getsockname()[1], plain=server.port)
        message = refusal(lambda: call(reach(kind, address)))
    assert f": {said}" in message


def test_an_expired_login_at_google(login):
    with loopback(refused_login) as google:
        login(google.address)
        said = refusal(lambda: call(reach("vertex", "https://aiplatform.example")))
        assert "look: Vertex AI in us-central1: the Google login has expired or is ref" in said
        assert "run `gcloud auth application-default login`" in said
        assert "s3cr3t" not in said


def test_no_login_at_google(login):
    platform = reach("vertex", "https://aiplatform.example")
    said = refusal(lambda: call(platform), InputError)
    assert said.startswith("Vertex AI in us-central1: no Google credentials; run `gcloud auth")
    assert google_client.find_credentials() is None


def test_a_registry_that_is_not_reached():
    calls = CallConfig()
    said = refusal(lambda: check_image(f"{NO_HOST}/albert:1", calls))
    assert f"the registry {NO_HOST}: its name cannot be resolved" in said


def failing(*failures):
    """Return a call that fails in these ways, one after the other, and then returns 1."""
    remaining = list(failures)

    def function(_):
        if remaining:
            raise remaining.pop(0)
        return 1

    return function


def untrusted():
    return ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED")


def test_a_service_that_has_answered_is_called_again_whatever_the_connection_says():
    service = Service(name="it", config=CallConfig(first_pause_s=0.001))
    assert service.timeouts(60.0) == (2.0, 60.0)
    assert "not trusted" in refusal(lambda: service.call("look", failing(untrusted())))
    assert service.call("look", failing()) == 1
    assert service.call("look", failing(untrusted())) == 1
    assert service.timeouts(60.0) == (60.0, 60.0)


def test_a_step_waits_for_a_service_that_does_not_answer_yet(monkeypatch, capsys):
    monkeypatch.setattr("albert_core.network.first_answer._interactive_processes", set())
    service = Service(name="it", config=CallConfig(first_pause_s=0.001))
    assert service.call("look", failing(*(ConnectionRefusedError() for _ in range(5)))) == 1
    assert capsys.readouterr().err.count("nothing listens there; check host and port; trying") == 5


def test_a_folder_of_certificates(tmp_path, monkeypatch):
    authority = make_authority(tmp_path)
    folder = tmp_path / "certificates"
    folder.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
    assert "without certificates, expected some" in refusal(certificates_file, InputError)
    (folder / "ca.pem").write_bytes(authority.certificate.read_bytes())
    (folder / "0123abcd.0").symlink_to("ca.pem")
    (folder / "README").write_text("Certificates")
    with open(certificates_file()) as file:
        assert file.read() == authority.certificate.read_text().rstrip()


def test_a_page_in_place_of_the_api():
    with running("kubeflow") as platform:
        platform.service.health = "<html>Log in</html>"
        said = refusal(lambda: platform.client.check_server(runs_pipeline=False), InputError)
    assert "answered with a page, expected the API of Kubeflow Pipelines 2: log in" in said


def test_a_token_of_a_service_account_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    with running("kubeflow") as platform:
        said = refusal(lambda: platform.client.check_server(runs_pipeline=False), InputError)
    assert said.startswith(f"KF_PIPELINES_SA_TOKEN_PATH {tmp_path / 'token'}: no such file")


@pytest.mark.parametrize(
    ("health", "told"),
    [
        ({"tag_name": "2.16.0"}, ""),
        ({"tag_name": "v2.17.3"}, ""),
        ({"tag_name": "2.16.1-rc.1"}, ""),
        ({"tag_name": "3.0"}, ""),
        ({"apiServerTagName": "2.16.0", "frontendTagName": "2.5.0"}, ""),
        ({"tag_name": "unknown"}, "does not tell its version; the pipeline needs 2.16.0 or newer"),
        ({}, "does not tell its version"),
        ({"tag_name": "master"}, "tells the version 'master'"),
    ],
)
def test_versions_of_kubeflow_that_may_run_the_pipeline(health, told, capsys):
    with running("kubeflow") as platform:
        platform.service.health = health
        platform.client.check_server(runs_pipeline=True)
    said = capsys.readouterr().err
    assert told in said
    assert bool(said) == bool(told)


@pytest.mark.parametrize("version", ["2.14.0", "2.15.2", "2.5.0", "v2.4.1", "2.15"])
def test_versions_of_kubeflow_that_cannot_run_the_pipeline(version):
    with running("kubeflow") as platform:
        platform.service.health = {"tag_name": version}
        said = refusal(lambda: platform.client.check_server(runs_pipeline=True), InputError)
        assert f"is version {version}, expected 2.16.0 or newer: older ones do not find" in said
    with running("kubeflow", check_version=False) as platform:
        platform.client.check_server(runs_pipeline=True)
        assert not platform.server.calls
