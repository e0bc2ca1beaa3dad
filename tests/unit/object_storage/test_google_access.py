"""Buckets that are not there, not mine, not free or not reached: one line each, within seconds."""

import contextlib
import functools
import itertools
import json
import socket

import google.cloud.storage
import google.oauth2.credentials
import pytest
import requests
import urllib3.exceptions
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession

from albert_core import storage
from albert_core.errors import InputError, NoAccessError, NoConnectionError, ServiceError
from albert_core.network.first_answer import interactive
from albert_core.object_storage.google import client as google_client
from albert_core.object_storage.google import sessions as google_sessions
from albert_core.object_storage.google.errors import input_errors
from albert_core.object_storage.settings import USER_PROJECT_VARIABLE, StorageConfig
from tests.helpers.certificates import make_authority
from tests.helpers.fakes.loopback import loopback
from tests.helpers.fakes.storage import BUCKET, CONTENT, Bucket, refused_login
from tests.helpers.reaching import NO_HOST, isolate, log_in
from tests.helpers.reaching import refusal as refusal_of

OBJECT = f"gs://{BUCKET}/a/b.json"


@pytest.fixture(autouse=True)
def no_login(monkeypatch, tmp_path):
    """Somebody at a machine without credentials, not one of Google's, with a new client."""
    isolate(monkeypatch)
    names = ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "KUBERNETES_SERVICE_HOST")
    for name in (*names, USER_PROJECT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    google_client._client_of_process.cache_clear()
    with interactive():
        yield
    google_client._client_of_process.cache_clear()


@pytest.fixture
def served(monkeypatch):
    """Serve a bucket at the address of Google Cloud Storage."""
    with contextlib.ExitStack() as stack:

        def serve(service, tls=None):
            server = stack.enter_context(loopback(service, tls))
            monkeypatch.setenv("API_ENDPOINT_OVERRIDE", server.address)
            return server

        yield serve


@pytest.fixture
def login(monkeypatch, tmp_path):
    """Log in with credentials whose tokens come from an address."""
    return functools.partial(log_in, monkeypatch, tmp_path)


def refusal(path=OBJECT, error=NoAccessError):
    """Return the one line that reading is refused with, which takes less than 10 s."""
    return refusal_of(lambda: storage.find_files(path), error)


def test_a_public_bucket_is_read_without_a_login(served):
    served(Bucket())
    (file,) = storage.find_files(f"gs://{BUCKET}/a")
    assert file.path == OBJECT
    assert json.loads(storage.read_bytes(OBJECT)) == CONTENT
    assert google_client.is_anonymous()


def test_a_range_behind_the_end_of_an_object_is_empty(served):
    served(Bucket())
    assert storage.read_range(OBJECT, 15, 20) == b""


def test_an_object_of_a_public_bucket_that_does_not_list_is_read(served):
    served(Bucket(is_listed=False))
    assert [file.path for file in storage.find_files(OBJECT)] == [OBJECT]
    assert "not public" in refusal(f"gs://{BUCKET}/a/*.json")
    # As Google answers for objects that are not there, so as not to tell that they are not.
    assert "not public" in refusal(f"gs://{BUCKET}/a/c.json")


@pytest.mark.parametrize("is_rewritten", [False, True])
def test_what_is_written_while_a_folder_is_removed_stays(served, is_rewritten):
    bucket = Bucket(is_rewritten=is_rewritten)
    server = served(bucket)
    storage.remove_folder(f"gs://{BUCKET}/a")
    assert bucket.has_object == is_rewritten
    (call,) = server.sent("DELETE")
    assert call.query["ifGenerationMatch"] == "1"


def test_a_folder_that_somebody_else_removes_too(served):
    bucket = Bucket()
    server = served(bucket)
    server.fail("DELETE", "/o/", 404)
    storage.remove_folder(f"gs://{BUCKET}/a")
    assert len(server.sent("DELETE")) == 1


def test_a_private_bucket_without_a_login(served):
    served(Bucket(is_public=False))
    assert refusal() == (
        f"{OBJECT}: not public, and there are no Google credentials; "
        "run `gcloud auth application-default login`"
    )


def test_credentials_that_come_late_are_used_from_the_first_refusal_on(served, monkeypatch):
    """As in a new pod, whose metadata server answers after the first search."""
    token = google.oauth2.credentials.Credentials("token")
    monkeypatch.setattr(token, "refresh", lambda _: None)
    late = itertools.chain([None], itertools.repeat(token))
    monkeypatch.setattr(google_client, "find_credentials", lambda _: next(late))
    server = served(Bucket(is_public=False))
    assert json.loads(storage.read_bytes(OBJECT)) == CONTENT
    assert not google_client.is_anonymous()
    # Google's client asks for the bucket, too, in a thread.
    sent = server.sent("GET", "/o/")
    assert ["authorization" in call.headers for call in sent] == [False, True, True]


def test_the_remedy_in_a_pod(served, monkeypatch):
    served(Bucket(is_public=False))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    said = refusal()
    assert "give the pod's service account the rights of a Google service account" in said
    assert "gcloud" not in said


def test_an_object_that_may_be_looked_at_but_not_read(served):
    bucket = Bucket()
    served(bucket)
    with storage.open_file(OBJECT) as file:
        assert file.read(3) == b'["o'
        assert file.seek(0) == 0
        assert json.loads(file.read()) == CONTENT
    bucket.is_downloaded = False
    said = refusal_of(lambda: storage.read_bytes(OBJECT), NoAccessError)
    assert said.startswith(f"{OBJECT}: not public")
    with storage.open_file(OBJECT) as file:
        refusal_of(lambda: file.read(1), NoAccessError)


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ChunkedEncodingError("Connection broken"),
        urllib3.exceptions.ProtocolError("Connection broken"),
    ],
)
def test_a_connection_that_drops_while_an_object_is_read(error):
    with pytest.raises(ServiceError, match="was lost: Connection broken"), input_errors(OBJECT):
        raise error


def test_an_expired_login(served, login):
    server = served(Bucket(is_public=False))
    with loopback(refused_login) as google:
        login(google.address)
        said = refusal()
    assert "the Google login has expired or is refused" in said
    assert "Token has been expired or revoked" in said
    assert "run `gcloud auth application-default login`" in said
    assert "s3cr3t" not in said
    assert not server.calls


def test_credentials_that_are_not_there(served, monkeypatch, tmp_path):
    served(Bucket())
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    said = refusal()
    assert "key.json was not found" in said
    assert "correct GOOGLE_APPLICATION_CREDENTIALS" in said


def test_a_bucket_whose_readers_pay(served, monkeypatch):
    server = served(Bucket(readers_pay=True))
    assert "(Requester Pays); run `gcloud auth" in refusal()
    assert "and set storage.user_project, or ALBERT_STORAGE_USER_PROJECT, to a" in refusal()
    monkeypatch.setenv(USER_PROJECT_VARIABLE, "")  # so that the test's end removes it
    server.calls.clear()
    StorageConfig(user_project="my-project-1").apply()
    assert "not public, and there are no Google credentials" in refusal()
    use_token(monkeypatch)
    google_client._client_of_process.cache_clear()
    server.calls.clear()
    assert json.loads(storage.read_bytes(OBJECT)) == CONTENT
    assert storage.has_files(f"gs://{BUCKET}/a")
    assert {call.query["userProject"] for call in server.sent("GET", "/o")} == {"my-project-1"}


@pytest.mark.parametrize("project", ["My Project", "a", "gs://x", "-project-1"])
def test_what_is_no_project(project):
    with pytest.raises(InputError, match=r"storage\.user_project: got "):
        StorageConfig(user_project=project)
    assert StorageConfig(user_project="example.com:my-project").environment
    assert StorageConfig(user_project="123456789").environment


def test_the_project_of_the_environment(monkeypatch):
    monkeypatch.setenv(USER_PROJECT_VARIABLE, "my-project-1")
    assert StorageConfig().or_from_environment().user_project == "my-project-1"
    assert (
        StorageConfig(user_project="my-project-2").or_from_environment().user_project
        == "my-project-2"
    )
    monkeypatch.setenv(USER_PROJECT_VARIABLE, "My Project")
    with pytest.raises(InputError, match=f"{USER_PROJECT_VARIABLE}: got 'My Project'"):
        StorageConfig().or_from_environment()


def use_token(monkeypatch):
    """Be logged in with a token that is good for ever."""
    token = google.oauth2.credentials.Credentials("token")
    monkeypatch.setattr(google_client, "find_credentials", lambda _: token)


def test_a_project_that_may_not_pay(served, monkeypatch):
    monkeypatch.setenv(USER_PROJECT_VARIABLE, "my-project-1")
    use_token(monkeypatch)
    message = "runner@x does not have serviceusage.services.use access to the project"
    served(Bucket(refusal=(403, message)))
    said = refusal()
    assert "the role Service Usage Consumer on my-project-1, which pays" in said


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (400, "Invalid argument.", "answered 400 (Invalid argument.)"),
        (403, "No.", "permission denied; give this account a role"),
    ],
)
def test_what_google_refuses(served, monkeypatch, status, message, said):
    use_token(monkeypatch)
    served(Bucket(refusal=(status, message)))
    assert said in refusal(error=InputError)


@pytest.mark.parametrize(
    "bucket", ["Bucket", "my bucket", "a", "-mine", "mine-", "x" * 64, "bücket", "a/../b", "b*d"]
)
def test_a_bucket_of_a_name_that_there_cannot_be(bucket):
    expected = bucket.partition("/")[0]
    assert f"got the bucket {expected!r}, expected 3 to 63 lower-case letters" in refusal(
        f"gs://{bucket}/x.txt", InputError
    )


def test_tls_that_is_intercepted_and_its_certificate_named(served, tmp_path, monkeypatch):
    authority = make_authority(tmp_path)
    server = served(Bucket(), authority.context)
    said = refusal()
    assert "Google Cloud Storage: its certificate is not trusted" in said
    assert "TLS is intercepted, or its CA is private" in said
    assert "in the variable REQUESTS_CA_BUNDLE" in said
    assert not server.calls
    google_client._client_of_process.cache_clear()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    assert storage.find_files(OBJECT)
    google_client._client_of_process.cache_clear()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    assert "none.pem" in refusal()


@pytest.mark.parametrize(
    ("address", "said", "error"),
    [
        (f"http://{NO_HOST}", "its name cannot be resolved: no network", NoConnectionError),
        ("http://127.0.0.1:{free}", "nothing listens there; check host", NoConnectionError),
        ("https://127.0.0.1:{plain}", "it does not speak TLS; check scheme", NoAccessError),
    ],
)
def test_no_way_to_google(monkeypatch, address, said, error):
    with loopback(Bucket()) as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = address.format(free=unused.getsockname()[1], plain=server.port)
        monkeypatch.setenv("API_ENDPOINT_OVERRIDE", address)
        assert said in refusal(error=error)


def test_a_proxy_that_is_not_there(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("API_ENDPOINT_OVERRIDE", "https://storage.example")
        said = refusal(error=NoConnectionError)
    assert "the proxy does not let it through; check HTTPS_PROXY" in said


class Network:
    """What an adapter sends by: failures in turn, then answers; notes the time-outs."""

    def __init__(self, monkeypatch, *failures):
        self.failures, self.timeouts = list(failures), []
        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", self.send)

    def send(self, *_, timeout, **__):
        self.timeouts.append(timeout)
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def mounted():
    """Return a session with adapters."""
    session = AuthorizedSession(AnonymousCredentials())
    google_sessions.mount_adapters(session, "Storage")
    return session


def refused():
    return requests.ConnectionError(ConnectionRefusedError())


def send(adapter):
    """Send a request; return the answer or the class of the error."""
    try:
        return adapter.send(None, timeout=60.0)
    except Exception as error:
        return type(error)


def test_commands_give_up_before_the_first_answer_and_start_anew(monkeypatch):
    network = Network(monkeypatch, *(refused() for _ in range(5)))
    adapter = mounted().get_adapter("https://x")
    lost, over = requests.ConnectionError, google_sessions.UnreachableError
    assert [send(adapter) for _ in range(7)] == [lost, lost, over, lost, lost, "answer", "answer"]
    assert network.timeouts == [(2.0, 60.0)] * 6 + [(60.0, 60.0)]


def test_steps_ride_out_an_outage_and_bad_certificates_once_there_was_an_answer(monkeypatch):
    untrusted = requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")
    monkeypatch.setattr("albert_core.network.first_answer._interactive_processes", set())
    network = Network(monkeypatch, *(refused() for _ in range(9)))
    adapter = mounted().get_adapter("https://x")
    assert [send(adapter) for _ in range(10)] == [requests.ConnectionError] * 9 + ["answer"]
    assert set(network.timeouts) == {(60.0, 60.0)}
    network.failures = [untrusted]
    assert [send(adapter), send(adapter)] == [requests.exceptions.SSLError, "answer"]
    network.failures = [untrusted]
    assert send(mounted().get_adapter("https://x")) is google_sessions.UnreachableError


def test_all_adapters_of_a_session_but_those_of_client_certificates(monkeypatch):
    session = mounted()
    for part in (session, session._auth_request_session, google_sessions.login_request().session):
        assert type(part.get_adapter("https://x")).__name__ == "Adapter"
    session = AuthorizedSession(AnonymousCredentials())
    session._is_mtls = True
    before = session.get_adapter("https://x"), session._auth_request_session.get_adapter("https://")
    google_sessions.mount_adapters(session, "Storage")
    after = session.get_adapter("https://x"), session._auth_request_session.get_adapter("https://")
    assert before == after
