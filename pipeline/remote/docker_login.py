"""Read the user and password of a registry of images that `docker login` stored."""

import base64
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from albert_core.errors import InputError
from albert_core.settings.json_values import JsonObject, as_text, parse_json, read_json_object


class Login(NamedTuple):
    """A user of a registry of images; `requests` takes it as `auth`."""

    user: str
    password: str


def find_docker_login(registry: str) -> Login | None:
    """Return the user and password that Docker has for a registry; None if it has none.

    Docker's configuration file (in DOCKER_CONFIG, or ~/.docker) holds them, or names a credential
    helper, a program that is run and whose answer wins; where the program fails, what the file
    holds counts. A file that is missing, or that this user must not read, holds none.

    Args:
        registry: Host of the registry, with its port if it has one.

    Raises:
        InputError: The file is not of Docker's form, or the credential helper cannot be started or
            answers with something else than a login.
    """
    path = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "config.json"
    if not os.access(path, os.R_OK):
        return None
    config = JsonObject.of(read_json_object(path), str(path))
    helper = _section(config, "credHelpers").values.get(registry) or config.values.get("credsStore")
    if helper:
        name = as_text(helper, f"{path}: the credential helper")
        if login := _ask_helper(f"docker-credential-{name}", registry, path):
            return login
    encoded = _section(_section(config, "auths"), registry).values.get("auth")
    return _decode(encoded, registry, path) if encoded else None


def _section(values: JsonObject, name: str) -> JsonObject:
    """Return the object in a field; an empty one where it is missing or null, as Docker takes it.

    Raises:
        FieldError: The field holds something else.
    """
    value = values.values.get(name)
    return JsonObject.of({} if value is None else value, f"{values.place}: {name}")


def _ask_helper(program: str, registry: str, path: Path) -> Login | None:
    """Run a credential helper, and return the login that it knows; None if it fails.

    It fails for a registry that it does not know, among others. It has no time limit.

    Raises:
        InputError: It cannot be started, or its answer is no login.
    """
    try:
        result = subprocess.run(
            [program, "get"], input=registry.encode(), capture_output=True, check=False
        )
    except (OSError, ValueError):  # ValueError: of a name with a null character
        raise InputError(
            f"{path}: names the credential helper {program}, which is not installed; install "
            f"it, or take it out of the file and run `docker login {registry}`"
        ) from None
    if result.returncode:
        return None
    expected = f"a login; run `docker login {registry}`"
    login = JsonObject.of(parse_json(result.stdout, program, expected=expected), program)
    return Login(login.text("Username"), login.text("Secret"))


def _decode(encoded: Any, registry: str, path: Path) -> Login:
    """Return the user and password in a field `auth`.

    Raises:
        InputError: It is not the base64 of both with a colon between them.
    """
    field = f"{path}: auth of {registry}"
    text = as_text(encoded, field)
    try:
        login = base64.b64decode(text).decode()
    except ValueError:
        login = ""
    user, colon, password = login.partition(":")
    if not colon:
        raise InputError(
            f"{field}: not the base64 of user:password; run `docker login {registry}` again"
        )
    return Login(user, password)
