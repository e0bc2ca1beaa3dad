"""Buckets of S3 that are not there, not mine or not reached: one line each, within seconds."""

import contextlib
import random
import socket

import pytest

from albert_core import storage
from albert_core.errors import InputError, NoAccessError, NoConnectionError, ServiceError
from albert_core.network.connection_failures import UnreachableError
from albert_core.network.first_answer import interactive
from albert_core.object_storage.s3 import client as s3_client
from albert_core.object_storage.settings import StorageConfig
from tests.helpers.certificates import make_authority
from tests.helpers.fakes.loopback import Answer, loopback
from tests.helpers.fakes.s3 import BUCKET, CONTENT, S3Bucket
from tests.helpers.reaching import NO_HOST, isolate
from tests.helpers.reaching import refusal as refusal_of

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

OBJECT = f"s3://{BUCKET}/a/b.txt"
LOGIN = "run `aws configure` or `aws sso login`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


@pytest.fixture(autouse=True)
def no_login(monkeypatch, tmp_path):
    """Somebody at a machine without credentials, not one of Amazon's, with a new client."""
    isolate(monkeypatch)
    for name in (*s3_client._CLIENT_VARIABLES, "KUBERNETES_SERVICE_HOST", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3_client.look_for_credentials_again()
    with interactive():
        yield
    s3_client.look_for_credentials_again()


@pytest.fixture
def served(monkeypatch):
    """Serve a bucket at the address of S3."""
    with contextlib.ExitStack() as stack:

        def serve(service, tls=None):
            server = stack.enter_context(loopback(service, tls))
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.address)
            return server

        yield serve


@pytest.fixture
def login(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")


def refusal(path=OBJECT, error=NoAccessError):
    """Return the one line that reading is refused with, which takes less than 10 s."""
    said = refusal_of(lambda: storage.find_files(path), error)
    assert "s3cr3t" not in said
    return said


def test_a_public_bucket_is_read_without_a_login(served):
    server = served(S3Bucket())
    (file,) = storage.find_files(f"s3://{BUCKET}/a")
    assert (file.path, file.num_bytes) == (OBJECT, len(CONTENT))
    assert storage.read_bytes(OBJECT) == CONTENT
    assert s3_client.is_anonymous()
    assert not any("authorization" in call.headers for call in server.calls)


def test_an_object_of_a_public_bucket_that_does_not_list_is_read(served):
    served(S3Bucket(is_listed=False))
    assert [file.path for file in storage.find_files(OBJECT)] == [OBJECT]
    assert "not public" in refusal(f"s3://{BUCKET}/a/*.txt")
    # As Amazon answers for objects that are not there, so as not to tell that they are not.
    assert "not public" in refusal(f"s3://{BUCKET}/a/c.txt")


def test_a_private_bucket_without_a_login(served):
    served(S3Bucket(is_public=False))
    assert refusal() == f"{OBJECT}: not public, and there are no credentials for S3; {LOGIN}"


def test_the_remedy_in_a_pod(served, monkeypatch):
    served(S3Bucket(is_public=False))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "give the pod's service account an IAM role" in refusal()


def test_credentials_that_come_late_are_used_after_the_first_refusal(served, tmp_path):
    served(S3Bucket(is_public=False))
    refusal()
    text = "[default]\naws_access_key_id = id\naws_secret_access_key = s3cr3t\n"
    (tmp_path / "credentials").write_text(text)
    assert storage.read_bytes(OBJECT) == CONTENT
    assert not s3_client.is_anonymous()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_PROFILE": "none"}, "no usable credentials for S3 (The config profile (none) could"),
        ({"AWS_ACCESS_KEY_ID": "id"}, "no usable credentials for S3 (Partial credentials found"),
    ],
)
def test_credentials_that_are_not_there(served, monkeypatch, variables, said):
    served(S3Bucket())
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    line = refusal()
    assert said in line
    assert LOGIN in line


@pytest.mark.parametrize(
    ("status", "code", "more", "said", "error"),
    [
        (400, "ExpiredToken", "", f"the login at S3 has expired (ExpiredToken); {LOGIN}", None),
        (403, "InvalidAccessKeyId", "", "the credentials are refused at http://127.", None),
        (403, "SignatureDoesNotMatch", "", "(SignatureDoesNotMatch); correct them", None),
        (403, "RequestTimeTooSkewed", "", "set this machine's clock", None),
        (403, "AccessDenied", "", "permission denied (AccessDenied: It says no.); give", None),
        (400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>",
         "in another region (AuthorizationHeaderMalformed: It says no.); set AWS_DEFAULT_REGION "
         "to eu-west-1, or correct the endpoint http://127.", InputError),
        (404, "NoSuchBucket", "", "no such bucket or object; check the address", InputError),
        (400, "InvalidArgument", "", "answered 400 (InvalidArgument: It says no.)", InputError),
        (501, "NotImplemented", "", "answered 501 (NotImplemented: It says no.)", InputError),
    ],
)  # fmt: skip
def test_what_s3_refuses(served, login, status, code, more, said, error):
    served(S3Bucket(refusal=(status, code, more)))
    assert said in refusal(error=error or NoAccessError)
    if code != "NoSuchBucket":  # the answer to HEAD has no code, but the reason is found
        assert said in refusal_of(lambda: storage.exists(OBJECT), error or NoAccessError)


def test_a_server_of_something_else(served, login):
    page = Answer(b"<html><p>Welcome</html>", headers={"Content-Type": "text/html"})
    served(lambda _: page)
    wrong = "does not speak S3; correct storage.endpoint, or AWS_ENDPOINT_URL_S3"
    assert wrong in refusal(error=InputError)
    assert wrong in refusal_of(lambda: storage.exists(OBJECT), InputError)


@pytest.mark.parametrize("bucket", ["Bucket", "my_bucket", "a", "-mine", "mine-", "x" * 64])
def test_a_bucket_of_a_name_that_there_cannot_be(bucket):
    assert f"got the bucket {bucket!r}, expected 3 to 63 lower-case letters, digits, - and ." in (
        refusal(f"s3://{bucket}/x.txt", InputError)
    )


def test_a_server_that_does_not_keep_to_conditions(served, login):
    served(S3Bucket(has_conditions=False))
    said = refusal_of(
        lambda: storage.write_bytes(f"s3://{BUCKET}/x", b"1", only_new=True), InputError
    )
    assert "does not keep to IfNoneMatch of writes, so that two runs would destroy" in said


def test_tls_that_is_intercepted_and_its_certificate_named(served, tmp_path, monkeypatch):
    authority = make_authority(tmp_path)
    server = served(S3Bucket(), authority.context)
    said = refusal()
    assert f"S3 at {server.address}: its certificate is not trusted" in said
    assert "TLS is intercepted, or its CA is private" in said
    assert not server.calls
    s3_client.look_for_credentials_again()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    assert storage.find_files(OBJECT)


@pytest.mark.parametrize(
    ("address", "said", "error"),
    [
        (f"http://{NO_HOST}", "its name cannot be resolved: no network", NoConnectionError),
        ("http://127.0.0.1:{free}", "nothing listens there; check host", NoConnectionError),
        ("https://127.0.0.1:{plain}", "it does not speak TLS; check scheme", NoAccessError),
    ],
)
def test_no_way_to_s3(monkeypatch, address, said, error):
    with loopback(S3Bucket()) as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = address.format(free=unused.getsockname()[1], plain=server.port)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        assert f"S3 at {address}: {said}" in refusal(error=error)


def test_commands_give_up_before_the_first_answer_and_steps_do_not(monkeypatch):
    monkeypatch.setattr(s3_client, "endpoint_in_use", lambda: "http://x")
    refused = ConnectionRefusedError()
    attempts = s3_client._FirstAnswer()
    for _ in range(2):
        attempts.look_at(caught_exception=refused)
    with pytest.raises(UnreachableError, match="S3 at http://x: nothing listens there"):
        attempts.look_at(caught_exception=refused)
    attempts.look_at(response="answer")
    for _ in range(9):
        attempts.look_at(caught_exception=refused)
    monkeypatch.setattr("albert_core.network.first_answer._interactive_processes", set())
    attempts = s3_client._FirstAnswer()
    for _ in range(9):
        attempts.look_at(caught_exception=refused)


def test_what_fails_is_tried_again_without_random_numbers_of_a_training(served, monkeypatch):
    server = served(S3Bucket())
    monkeypatch.setattr("time.sleep", lambda _: None)
    storage.find_files(OBJECT)
    random.seed(1)
    expected = random.random()
    random.seed(1)
    server.fail("GET", "/a/b.txt", 503, 500, "drop before")
    assert storage.read_bytes(OBJECT) == CONTENT
    assert len(server.sent("GET", "/a/b.txt")) == 4
    assert random.random() == expected


def test_what_keeps_failing(served, monkeypatch):
    server = served(S3Bucket())
    monkeypatch.setattr("time.sleep", lambda _: None)
    server.fail("GET", BUCKET, *[503] * 20)
    assert "S3 answered 503" in refusal(error=ServiceError)
    assert len(server.calls) == s3_client._NUM_ATTEMPTS


@pytest.mark.parametrize(
    "endpoint",
    [
        "minio:9000",
        "ftp://x",
        "https://",
        "http://id:s3cr3t@x",
        "http://:s3cr3t@x",
        "http://x?a=1",
        "http://x:port",
        "http://x y",
    ],
)
def test_what_is_no_endpoint(endpoint, monkeypatch):
    with pytest.raises(InputError, match=r"storage\.endpoint: got ") as caught:
        StorageConfig(endpoint=endpoint)
    assert "s3cr3t" not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert "AWS_ENDPOINT_URL: got " in refusal(error=InputError)


def test_the_endpoint_of_settings_and_of_the_environment(monkeypatch):
    assert StorageConfig().or_from_environment().environment == {}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://general")
    assert StorageConfig().or_from_environment().endpoint == "http://general"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://of-s3")
    assert StorageConfig().or_from_environment().endpoint == "http://of-s3"
    given = StorageConfig(
        endpoint="http://given", user_project="my-project-1"
    ).or_from_environment()
    assert given.environment == {
        "ALBERT_STORAGE_USER_PROJECT": "my-project-1",
        "AWS_ENDPOINT_URL_S3": "http://given",
    }
    given = StorageConfig(endpoint="http://given")
    monkeypatch.setattr("os.environ", {})
    given.apply()
    assert s3_client.StorageConfig.from_environment() == given
