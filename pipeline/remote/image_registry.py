"""Check that an image is in its registry, by the registry's HTTP API and without pulling it."""

import base64
import dataclasses
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.google_client import find_credentials
from albert_core.google_sessions import login_request
from components.service_calls import CallConfig, Service

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

    Raises:
        InputError: It names no registry, like an image that is on this machine only.
    """
    registry, _, rest = image.partition("/")
    if not rest or not re.search(r"[.:]|^localhost$", registry):
        raise InputError(
            f"image {image}: got no registry, expected one that the platform reaches; set "
            "ALBERT_REGISTRY=host/path and compile again"
        )
    separator = "@" if "@" in rest else ":"
    repository, _, reference = rest.rpartition(separator) if separator in rest else (rest, "", "")
    return ImageReference(registry=registry, repository=repository, reference=reference or "latest")


def check_image(image: str, calls: CallConfig) -> None:
    """Refuse an image that is not in its registry, or not for the processors of the steps.

    Asks for its manifest, and for its configuration where that alone tells; pulls no layer.

    Credentials are those that Docker has for the registry, or for Google's the Application
    Default Credentials; a public image needs none. HTTPS, but HTTP for a registry on this machine.

    Args:
        image: Name of the image, with its registry.
        calls: Time-outs and retries; what may pass is retried.

    Raises:
        InputError: There is no such image, none for linux/amd64, or its name has no registry.
        ServiceError: The registry refused to tell, or did not answer.
    """
    import requests

    reference = parse_image(image)
    scheme = "http" if _LOOPBACK.fullmatch(reference.registry) else "https"
    root = f"{scheme}://{reference.registry}/v2/{reference.repository}"
    service = Service(name=f"the registry {reference.registry}", config=calls)

    def find_platforms(timeout_s: float) -> set[str] | None:
        """Return the platforms of the image; None if there is none. Logs in if that is asked for.

        They are in the manifest of an image of several, else in the image's configuration.

        Raises:
            requests.RequestException: No answer, or a status other than 200 and 404.
        """
        login: dict[str, str] = {}

        def get(path: str) -> requests.Response:
            """Get a path below the image's; on status 401 log in, once, and get it again."""
            headers = {"Accept": _MANIFESTS, **login}
            answer = requests.get(
                f"{root}/{path}", headers=headers, timeout=service.timeouts(timeout_s)
            )
            if answer.status_code == 401 and not login:
                challenge = answer.headers.get("WWW-Authenticate", "")
                login["Authorization"] = _authorization(reference.registry, challenge, timeout_s)
                return get(path)
            return answer

        answer = get(f"manifests/{reference.reference}")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        manifest = answer.json()
        if "config" not in manifest:
            return {_platform(entry.get("platform", {})) for entry in manifest.get("manifests", ())}
        config = get(f"blobs/{manifest['config']['digest']}")
        config.raise_for_status()
        return {_platform(config.json())}

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


def _platform(values: Mapping[str, Any]) -> str:
    """Return the platform that an image's configuration or index names, such as linux/amd64."""
    return f"{values.get('os', 'linux')}/{values.get('architecture', 'amd64')}"


def _authorization(registry: str, challenge: str, timeout_s: float) -> str:
    """Return the Authorization header that a registry asked for with status 401.

    Gets a token over the network for `Bearer`. Credentials are Google's for its registries, else
    Docker's; without any it asks for a token anonymously, or gives empty ones for `Basic`.

    Args:
        registry: Host of the registry.
        challenge: Its header WWW-Authenticate: `Basic`, or `Bearer` with the address that gives
            out tokens.
        timeout_s: Seconds to wait for a token.

    Raises:
        requests.RequestException: No token was given.
    """
    import requests

    user = _google_login() if _GOOGLE.fullmatch(registry) else _docker_login(registry)
    kind, _, details = challenge.partition(" ")
    if kind.lower() == "basic":
        text = ":".join(user or ("", ""))
        return f"Basic {base64.b64encode(text.encode()).decode()}"
    values = dict(_CHALLENGE.findall(details))
    query = {key: values[key] for key in ("service", "scope") if key in values}
    answer = requests.get(values["realm"], params=query, auth=user, timeout=timeout_s)
    answer.raise_for_status()
    token = answer.json()
    return f"Bearer {token.get('token') or token['access_token']}"


def _google_login() -> tuple[str, str] | None:
    """Return user and password for Google's registries; None without credentials.

    The password is a token, asked for over the network with the Application Default Credentials.

    Raises:
        NoAccessError: There are credentials that cannot be read.
    """
    credentials = find_credentials(("https://www.googleapis.com/auth/cloud-platform",))
    if credentials is None:
        return None
    credentials.refresh(login_request())
    return "oauth2accesstoken", str(credentials.token)


def _docker_login(registry: str) -> tuple[str, str] | None:
    """Return the user and password that `docker login` stored; None if none can be read.

    Docker's configuration file (in DOCKER_CONFIG, or ~/.docker) has them, or names a credential
    helper, a program whose answer wins.

    Raises:
        InputError: The credential helper is not installed.
    """
    path = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    helper = config.get("credHelpers", {}).get(registry) or config.get("credsStore")
    if helper:
        program = f"docker-credential-{helper}"
        try:
            result = subprocess.run(
                [program, "get"], input=registry, capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise InputError(
                f"{path}: names the credential helper {program}, which is not installed; install "
                f"it, or take it out of the file and run `docker login {registry}`"
            ) from None
        if result.returncode == 0:
            login = json.loads(result.stdout)
            return login["Username"], login["Secret"]
    encoded = config.get("auths", {}).get(registry, {}).get("auth")
    if not encoded:
        return None
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    return user, password
