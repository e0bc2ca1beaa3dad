"""Google's generated clients, which log in with Application Default Credentials."""

import urllib.parse
from typing import Any

from albert_core.errors import InputError
from albert_core.object_storage.google.client import find_credentials, login_remedy
from albert_core.object_storage.google.sessions import mount_adapters

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_LOOPBACK = ("localhost", "127.0.0.1")


def rest_client(kind: Any, address: str, *, service: str, setting: str) -> Any:
    """Return a client that speaks REST, with Application Default Credentials.

    A server on this machine (`localhost` or `127.0.0.1`) may be reached by plain http, and then
    gets no credentials. No call is made to the service; to find credentials, files may be read and
    Google's metadata server asked.

    Args:
        kind: Class of the client.
        address: Host of the endpoint, or its address with `https://` or `http://`.
        service: Name and place of the service for messages, such as `Vertex AI in us-central1`.
        setting: The setting that names the endpoint.

    Raises:
        InputError: There are no credentials, they cannot be read, or they would leave this machine
            unencrypted.
    """
    from google.auth.credentials import AnonymousCredentials

    is_plain = is_plain_http(address)
    if is_plain and not _is_of_this_machine(address):
        raise InputError(
            f"{setting}: got {address}, expected https, or a server on this machine: "
            "credentials are not sent in the clear"
        )
    credentials = AnonymousCredentials() if is_plain else find_credentials((_SCOPE,))
    if credentials is None:
        raise InputError(f"{service}: no Google credentials; {login_remedy()}")
    client = kind(
        credentials=credentials, transport="rest", client_options={"api_endpoint": address}
    )
    # Google's transport has no time-out of its own for connecting.
    mount_adapters(client.transport._session, service)
    return client


def is_plain_http(address: str) -> bool:
    """Return whether an address begins with `http://`, in small letters."""
    return address.startswith("http://")


def _is_of_this_machine(address: str) -> bool:
    """Return whether the host of an address is `localhost` or `127.0.0.1`.

    False for any other name of this machine, and for an address without a scheme.
    """
    try:
        return urllib.parse.urlsplit(address).hostname in _LOOPBACK
    except ValueError:  # such as half an address of IPv6
        return False
