"""Check of the origins whose pages may ask the server: only what browsers send can ever match."""

import ipaddress
import re
import urllib.parse

from albert_core.errors import InputError

ANY_ORIGIN = "*"
MAX_PORT = 65535

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def check_origin(origin: str) -> None:
    """Check that an origin is written as browsers send it, or is `*`, which is every one.

    Raises:
        InputError: It is written in another way. The message has the right spelling if that is
            clear.
    """
    if origin == ANY_ORIGIN:
        return
    as_sent = _as_sent(origin)
    if as_sent is None:
        raise InputError(
            f"cors_origins: got {origin!r}, expected a scheme, a whole host name (an international "
            "one in its xn-- form) and perhaps a port, such as https://example.org:8443, or "
            f"{ANY_ORIGIN} for all; there are no wildcards within a host"
        )
    if as_sent != origin:
        raise InputError(
            f"cors_origins: got {origin!r}, expected {as_sent}, as browsers send this origin: in "
            "lower case, without a user, a path or the scheme's default port"
        )


def _as_sent(origin: str) -> str | None:
    """Return an origin as browsers send it: scheme, host and, if not the scheme's default, port.

    None if it is none: its scheme is not http or https, or its host or port is impossible. What
    else is in it, such as a path, is left out.
    """
    try:
        parts = urllib.parse.urlsplit(origin)
        host, port = _host_as_sent(parts.hostname or ""), parts.port
    except ValueError:  # brackets or a port that are none
        return None
    if parts.scheme not in _DEFAULT_PORTS or host is None or port == 0:
        return None
    is_default = port is None or port == _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")


def _host_as_sent(host: str) -> str | None:
    """Return a host as browsers send it, an IPv6 address in its short form; None if it is no host.

    Args:
        host: The host, in lower case already.

    Raises:
        ValueError: The host looks like an IP address, but is not a valid one.
    """
    if ":" in host and "%" not in host:
        return f"[{ipaddress.IPv6Address(host)}]"
    if host.rpartition(".")[2].isdigit():
        return str(ipaddress.IPv4Address(host))
    return host if _HOST_NAME.fullmatch(host) else None
