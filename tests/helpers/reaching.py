"""What tests of unreached and refusing servers share: logins, names without address, one line."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NO_HOST = "no-such-host.invalid"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def refusal(function: Callable[[], Any], error: type[Exception]) -> str:
    """The one line that a call is refused with, which takes less than 10 s."""
    before = time.monotonic()
    with pytest.raises(error) as caught:
        function()
    assert time.monotonic() - before < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


def log_in(patch: pytest.MonkeyPatch, folder: Path, address: str) -> None:
    """Log in at Google with credentials whose tokens come from an address."""
    path = folder / "credentials.json"
    values = {
        "type": "external_account_authorized_user",
        "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
        "refresh_token": "old",
        "token_url": f"{address}/token",
        "client_id": "id",
        "client_secret": "s3cr3t",
    }
    path.write_text(json.dumps(values))
    patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))


def isolate(patch: pytest.MonkeyPatch) -> None:
    """Use no proxy, and no name server for `NO_HOST`, which has no address."""
    for name in _PROXIES:
        patch.delenv(name, raising=False)
        patch.delenv(name.lower(), raising=False)
    resolve = socket.getaddrinfo

    def resolve_others(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host in (NO_HOST, NO_HOST.encode()):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)

    patch.setattr(socket, "getaddrinfo", resolve_others)
