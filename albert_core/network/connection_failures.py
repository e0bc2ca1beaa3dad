"""Why a connection failed, in words for people: certificates, names, networks, proxies.

The exceptions of requests, urllib3, Google's clients and kfp's are understood alike, by the errors
of the operating system that they hold. Nothing of these packages is imported.
"""

import dataclasses
import errno
import os
import socket
import ssl
from collections.abc import Iterator

CERTIFICATES_VARIABLE = "REQUESTS_CA_BUNDLE"
"""Environment variable with a file of the certificates to trust, which requests reads."""

_UNKNOWN_CA = (18, 19, 20, 21)  # OpenSSL's codes of certificates without a trusted root
_EXPIRED, _OTHER_HOST = (9, 10), (62, 64)
_NO_TLS = ("[SSL: WRONG_VERSION_NUMBER]", "[SSL: HTTP_REQUEST]", "[SSL: RECORD_LAYER_FAILURE]")
_NO_NETWORK = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConnectionFailure:
    """Why a connection failed.

    Attributes:
        reason: What is wrong and what to do, as a clause to end a message with.
        is_lasting: Whether it fails again whenever it is tried.
    """

    reason: str
    is_lasting: bool = False


class UnreachableError(Exception):
    """A server is not reached; the message says why.

    Attributes:
        is_lasting: Whether it fails again whenever it is tried.
    """

    def __init__(self, message: str, *, is_lasting: bool) -> None:
        """Store the message, and whether waiting is in vain."""
        super().__init__(message)
        self.is_lasting = is_lasting


def explain_failure(error: BaseException) -> ConnectionFailure | None:
    """Return why a server was not reached, and whether for good; None if nothing says why.

    None, too, if it was reached: for connections that were made and dropped later, and for late
    answers.

    Args:
        error: What a client raised; the errors that it was raised for are looked at, too.
    """
    causes = list(_causes(error))
    # The errors of the system first: others repeat their texts, and know less.
    for explain in (_explain_tls, _explain_network, _explain_text):
        for cause in causes:
            if failure := explain(cause):
                return failure
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it holds as arguments, as `reason` or as its cause.

    Breadth first, the exception itself first, each once.
    """
    seen: set[int] = set()
    remaining = [error]
    while remaining:
        current = remaining.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (*current.args, getattr(current, "reason", None), current.__cause__)
        remaining += [value for value in inner if isinstance(value, BaseException)]


def _explain_tls(error: BaseException) -> ConnectionFailure | None:
    """Return why a server's certificate was refused, which is lasting; None for other errors.

    Causes of the error are not looked at.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectionFailure(reason=_explain_certificate(error), is_lasting=True)
    return None


def _explain_text(error: BaseException) -> ConnectionFailure | None:
    """Return a failure of TLS by the text of an error or of its `reason`; lasting; else None.

    It is known for a server that does not speak TLS, and for a certificate that is not trusted.
    """
    text = f"{error} {getattr(error, 'reason', '')}"
    if any(code in text for code in _NO_TLS):
        return ConnectionFailure(
            reason="it does not speak TLS; check scheme (http or https), host and proxy",
            is_lasting=True,
        )
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = f"its certificate is not trusted; {_trust_remedy()}"
        return ConnectionFailure(reason=reason, is_lasting=True)
    return None


def _explain_certificate(error: ssl.SSLCertVerificationError) -> str:
    """Return why a certificate was refused, and what to do, as a clause to end a message with.

    For a certificate that has expired or is not valid yet, the remedy is to check this machine's
    clock; for one of another host, to check host and proxy; for any other refusal, to have the
    certificate trusted.
    """
    code, message = getattr(error, "verify_code", 0), getattr(error, "verify_message", "refused")
    if code in _EXPIRED:
        return f"its certificate is refused ({message}); check this machine's clock"
    if code in _OTHER_HOST:
        return f"its certificate is for another host ({message}); check the host and the proxy"
    cause = ": TLS is intercepted, or its CA is private" if code in _UNKNOWN_CA else ""
    return f"its certificate is not trusted ({message}){cause}; {_trust_remedy()}"


def _trust_remedy() -> str:
    """Return how to have a certificate trusted, as a clause to end a message with.

    It says what REQUESTS_CA_BUNDLE names now, if anything.
    """
    given = os.environ.get(CERTIFICATES_VARIABLE)
    now = f" (it is {given})" if given else ""
    return (
        f"name a file with the CA's certificate in the variable {CERTIFICATES_VARIABLE}{now}, or "
        "for calls to a platform in calls.ca_certificates"
    )


def _explain_network(error: BaseException) -> ConnectionFailure | None:
    """Return why no connection to a server was made, which is not lasting; None for other errors.

    It is known for a name that cannot be resolved, a proxy that refuses, a port where nothing
    listens, a network that does not lead there, and no connection in time. Connections that were
    made and dropped later, and late answers, are other errors. Causes of the error are not looked
    at.
    """
    name = type(error).__name__
    if isinstance(error, socket.gaierror) or name == "NameResolutionError":
        return ConnectionFailure(
            reason="its name cannot be resolved: no network, or no such host; check both"
        )
    if name == "ProxyError":
        return ConnectionFailure(
            reason="the proxy does not let it through; check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
        )
    if isinstance(error, ConnectionRefusedError):
        return ConnectionFailure(reason="nothing listens there; check host and port")
    if isinstance(error, OSError) and error.errno in _NO_NETWORK:
        return ConnectionFailure(reason="no network leads there; check the network")
    if name in ("ConnectTimeoutError", "ConnectTimeout"):
        return ConnectionFailure(
            reason="no connection in time: a firewall, no network or a wrong address; check these"
        )
    return None
