"""Check that an image is in its registry, by the registry's HTTP API and without pulling it."""

import base64
import dataclasses
import re
from typing import TYPE_CHECKING, Any

from albert_core.errors import InputError
from albert_core.object_storage.google.client import find_credentials
from albert_core.object_storage.google.sessions import login_request
from albert_core.settings.json_values import JsonObject, parse_json
from components.image import IMAGE_PATH
from components.service_calls import CallConfig, Service
from pipeline.remote.docker_login import Login, find_docker_login

if TYPE_CHECKING:
    import requests

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_PLATFORM = "linux/amd64"
_GOOGLE = re.compile(r"([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)")
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1)(:\d+)?")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageReference:
    """The parts of an image's name.

    Attributes:
        registry: Host, with its port if it has one.
        repository: Path within the registry.
        reference: Tag or digest.
    """

    registry: str
    repository: str
    reference: str


def parse_image(image: str) -> ImageReference:
    """Split an image's name into host, path and tag or digest; the tag is `latest` if it has none.

    Of a tag and a digest the digest counts.

    Raises:
        InputError: It names no registry, as the name of a local image does, or cannot be the name
            of an image.
    """
    registry, _, rest = image.partition("/")
    if not rest or not re.search(r"[.:]|^localhost$", registry):
        raise InputError(
            f"image {image}: got no registry, expected one that the platform reaches; set "
            "ALBERT_REGISTRY=host/path and compile again"
        )
    path, _, digest = rest.partition("@")
    repository, _, tag = path.partition(":")
    if not IMAGE_PATH.fullmatch(f"{registry}/{repository}"):
        raise InputError(
            f"image {image}: not a name that an image can have, expected host/path:tag in "
            "lower-case letters; set ALBERT_REGISTRY=host/path and compile again"
        )
    reference = digest or tag or "latest"  # of both the digest counts
    return ImageReference(registry=registry, repository=repository, reference=reference)


def check_image(image: str, calls: CallConfig) -> None:
    """Refuse an image that is not in its registry, or not for the processors of the steps.

    Asks for the image's manifest and, if that does not tell the platform, for its configuration;
    pulls no layer. An image that names no platform is accepted. The credentials are those that
    Docker has for the registry, or the Application Default Credentials for Google's registries; a
    public image needs none.

    Args:
        image: Name of the image, with its registry.
        calls: Time-outs and retries; failures that may be temporary are retried.

    Raises:
        InputError: There is no such image, none for linux/amd64, its name has no registry, a login
            of Docker's or Google's cannot be read, or what answers there is no registry.
        ServiceError: The registry or Google's login refused, or did not answer.
    """
    reference = parse_image(image)
    service = Service(name=f"the registry {reference.registry}", config=calls)
    place = f"image {image}: {service.name}"

    def find_platforms(timeout_s: float) -> set[str] | None:
        """Return the platforms of the image, as `_find_platforms` does, in a new conversation."""
        files = _ImageFiles(image=reference, service=service, timeout_s=timeout_s)
        return _find_platforms(files, place)

    platforms = service.call(f"image {image}", find_platforms)
    if platforms is None:
        raise InputError(
            f"image {image}: not in the registry; push it with `make images push REGISTRY=...` (of "
            "GPUs `make images-gpu push-gpu`), or correct ALBERT_REGISTRY and ALBERT_TAG "
            "and compile again"
        )
    if platforms and _PLATFORM not in platforms:
        raise InputError(
            f"image {image}: for {', '.join(sorted(platforms))}, expected one for {_PLATFORM}, as "
            f"the machines of the steps are; build it with IMAGE_ARGS='--platform {_PLATFORM}'"
        )


@dataclasses.dataclass(kw_only=True)
class _ImageFiles:
    """The files of an image in its registry; logs in where the registry asks for it, once.

    Attributes:
        image: The image.
        service: Its registry.
        timeout_s: Seconds to wait for an answer.
        authorization: The header that the login gave; empty before one is asked for.
    """

    image: ImageReference
    service: Service
    timeout_s: float
    authorization: str = ""

    def get(self, path: str) -> "requests.Response":
        """Get a path below the image's; on status 401 log in, if not done yet, and get it again.

        Connects by HTTPS, but by HTTP to a registry on this machine.

        Raises:
            requests.RequestException: No answer.
            GoogleAuthError: Google refused the login, or did not answer.
            InputError: What answers is no registry, or a login of Docker's or Google's cannot be
                read.
        """
        import requests

        scheme = "http" if _LOOPBACK.fullmatch(self.image.registry) else "https"
        address = f"{scheme}://{self.image.registry}/v2/{self.image.repository}/{path}"
        headers = {"Accept": _MANIFESTS}
        if self.authorization:
            headers["Authorization"] = self.authorization
        answer = requests.get(
            address, headers=headers, timeout=self.service.timeouts(self.timeout_s)
        )
        if answer.status_code == 401 and not self.authorization:
            challenge = answer.headers.get("WWW-Authenticate", "")
            self.authorization = _authorization(self.image.registry, challenge, self.timeout_s)
            return self.get(path)
        return answer


def _find_platforms(files: _ImageFiles, place: str) -> set[str] | None:
    """Return the platforms of an image, such as linux/amd64; None if there is no image.

    An image for several platforms lists them in its manifest, with attestations as unknown/unknown;
    otherwise the platform is in the image's configuration. Returns an empty set if there is
    neither.

    Args:
        files: The files of the image.
        place: Which image in which registry, the beginning of messages.

    Raises:
        requests.RequestException: No answer; or a status of failure, of which only a 404 for the
            manifest means that there is no image.
        GoogleAuthError: Google refused the login, or did not answer.
        InputError: What answers is no registry, or a login of Docker's or Google's cannot be read.
    """
    answer = files.get(f"manifests/{files.image.reference}")
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    manifest = _read_object(answer, place)
    if "config" not in manifest:
        entries = manifest.objects("manifests") if "manifests" in manifest else ()
        return {_platform(entry.values.get("platform") or {}, entry.place) for entry in entries}
    digest = JsonObject.of(manifest.value("config"), manifest.place).text("digest")
    config = files.get(f"blobs/{digest}")
    config.raise_for_status()
    return {_platform(_read_object(config, place).values, place)}


def _read_object(answer: "requests.Response", place: str) -> JsonObject:
    """Return the JSON object that a registry answered with.

    Args:
        answer: Its answer.
        place: Which registry, the beginning of messages.

    Raises:
        InputError: It is something else, such as the page of a proxy.
    """
    expected = "the API of a registry: log in where the network asks for it, or correct the name"
    return JsonObject.of(parse_json(answer.content, place, expected=expected), place)


def _platform(values: Any, place: str) -> str:
    """Return the platform that an image's configuration or index names, such as linux/amd64.

    A system that is not named is taken to be linux, a processor to be amd64.

    Raises:
        FieldError: The value, which is at `place`, is no object.
    """
    named = JsonObject.of(values, place).values
    return f"{named.get('os', 'linux')}/{named.get('architecture', 'amd64')}"


def _authorization(registry: str, challenge: str, timeout_s: float) -> str:
    """Return the Authorization header that a registry asked for with status 401.

    Gets a token over the network for `Bearer`. Credentials are Google's for its registries, else
    Docker's; without any it asks for a token anonymously, or gives empty ones for `Basic`.

    Args:
        registry: Host of the registry.
        challenge: Its header WWW-Authenticate: `Basic`, or `Bearer` with the address that gives out
            tokens.
        timeout_s: Seconds to wait for a token.

    Raises:
        requests.RequestException: No token was given.
        GoogleAuthError: Google refused the login, or did not answer.
        InputError: The challenge, or what answers for the token, is something else; or a login of
            Docker's or Google's cannot be read.
    """
    import requests

    login = _google_login() if _GOOGLE.fullmatch(registry) else find_docker_login(registry)
    kind, _, details = challenge.partition(" ")
    if kind.lower() == "basic":
        text = ":".join(login or ("", ""))
        return f"Basic {base64.b64encode(text.encode()).decode()}"
    values = dict(_CHALLENGE.findall(details))
    realm, place = values.get("realm", ""), f"the registry {registry}"
    if not realm.startswith(("http://", "https://")):
        raise InputError(
            f"{place}: asks for a login by {challenge[:80]!r}, expected Basic, or Bearer with an "
            "address; check that it is a registry, or correct the name"
        )
    query = {key: values[key] for key in ("service", "scope") if key in values}
    answer = requests.get(realm, params=query, auth=login, timeout=timeout_s)
    answer.raise_for_status()
    token = _read_object(answer, f"{place}: its tokens at {realm}")
    return f"Bearer {token.text('token' if token.values.get('token') else 'access_token')}"


def _google_login() -> Login | None:
    """Return user and password for Google's registries; None if this machine has no credentials.

    The password is a token, asked for over the network with the Application Default Credentials.

    Raises:
        NoAccessError: There are credentials that cannot be read.
        GoogleAuthError: An error of `google.auth`: Google refused the login, or did not answer.
    """
    credentials = find_credentials(("https://www.googleapis.com/auth/cloud-platform",))
    if credentials is None:
        return None
    credentials.refresh(login_request())
    return Login("oauth2accesstoken", str(credentials.token))
