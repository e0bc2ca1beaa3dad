"""Buckets that are not there, not mine, not free or not reached: one line each, within seconds."""

import contextlib
import json
import socket
import time

import google.oauth2.credentials
import pytest

from albert_core import google_client, storage
from albert_core.errors import InputError, NoAccessError
from albert_core.storage_settings import USER_PROJECT_VARIABLE, StorageConfig
from tests.helpers.certificates import make_authority
from tests.helpers.fakes.loopback import loopback
from tests.helpers.fakes.storage import BUCKET, CONTENT, Bucket, refused_login

OBJECT = f"gs://{BUCKET}/a/b.json"


@pytest.fixture(autouse=True)
def no_login(monkeypatch, tmp_path):
    """A machine without credentials, and not one of Google's; each test has its own client."""
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", USER_PROJECT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    google_client._client_of_process.cache_clear()
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

    def log_in(address):
        path = tmp_path / "credentials.json"
        values = {
            "type": "external_account_authorized_user",
            "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
            "refresh_token": "old",
            "token_url": f"{address}/token",
            "client_id": "id",
            "client_secret": "s3cr3t",
        }
        path.write_text(json.dumps(values))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))

    return log_in


def refusal(path=OBJECT, error=NoAccessError):
    """Return the one line that reading is refused with, which takes less than 10 s."""
    before = time.monotonic()
    with pytest.raises(error) as caught:
        storage.find_files(path)
    assert time.monotonic() - before < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_public_bucket_is_read_without_a_login(served):
    served(Bucket())
    (file,) = storage.find_files(f"gs://{BUCKET}/a")
    assert file.path == OBJECT
    assert json.loads(storage.read_bytes(OBJECT)) == CONTENT
    assert google_client.is_anonymous()


def test_an_object_of_a_public_bucket_that_does_not_list_is_read(served):
    served(Bucket(is_listed=False))
    assert [file.path for file in storage.find_files(OBJECT)] == [OBJECT]
    assert "not public" in refusal(f"gs://{BUCKET}/a/*.json")


def test_a_private_bucket_without_a_login(served):
    served(Bucket(is_public=False))
    assert refusal() == (
        f"{OBJECT}: not public, and there are no Google credentials; "
        "run `gcloud auth application-default login`"
    )


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
    assert json.loads(storage.read_bytes(OBJECT)) == CONTENT
    assert storage.has_files(f"gs://{BUCKET}/a")
    assert {call.query["userProject"] for call in server.sent("GET", "/o")} == {"my-project-1"}


@pytest.mark.parametrize("project", ["My Project", "a", "gs://x", "-project-1"])
def test_what_is_no_project(project):
    with pytest.raises(InputError, match=r"storage\.user_project: got "):
        StorageConfig(user_project=project)
    assert StorageConfig(user_project="example.com:my-project").environment
    assert StorageConfig(user_project="123456789").environment


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
    ("address", "said"),
    [
        ("http://no-such-host.invalid", "its name cannot be resolved: no network, or no such"),
        ("http://127.0.0.1:{free}", "nothing listens there; check host and port"),
        ("https://127.0.0.1:{plain}", "it does not speak TLS; check scheme"),
    ],
)
def test_no_way_to_google(monkeypatch, address, said):
    monkeypatch.setenv("NO_PROXY", "*")
    with loopback(Bucket()) as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = address.format(free=unused.getsockname()[1], plain=server.port)
        monkeypatch.setenv("API_ENDPOINT_OVERRIDE", address)
        assert said in refusal()


def test_a_proxy_that_is_not_there(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("API_ENDPOINT_OVERRIDE", "https://storage.example")
        assert "the proxy does not let it through; check HTTPS_PROXY" in refusal()
