"""Only origins that browsers send are taken; for others the right spelling is told."""

import pytest

from albert_core.errors import InputError
from pipeline.serving.config import ServingConfig


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://example.org",
        "http://localhost:3000",
        "https://xn--bcher-kva.example:8443",
        "http://127.0.0.1:443",
        "http://[::1]:8080",
    ],
)
def test_what_browsers_send_is_taken(origin: str) -> None:
    assert ServingConfig(cors_origins=(origin,)).cors_origins == (origin,)


@pytest.mark.parametrize(
    ("origin", "as_sent"),
    [
        ("HTTPS://Example.org", "https://example.org"),
        ("https://example.org:443", "https://example.org"),
        ("http://example.org:080", "http://example.org"),
        ("http://example.org:", "http://example.org"),
        ("https://user@example.org", "https://example.org"),
        ("https://example.org/", "https://example.org"),
        ("https://example.org/page?a#b", "https://example.org"),
        ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_spelling_that_browsers_send_is_told(origin: str, as_sent: str) -> None:
    with pytest.raises(InputError) as raised:
        ServingConfig(cors_origins=(origin,))
    assert f"got {origin!r}, expected {as_sent}, as browsers" in str(raised.value)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "example.org",
        "ftp://example.org",
        "null",
        "https://",
        "https://*.example.org",
        "https://b\u00fccher.example",
        "https://example..org",
        "https://a b.example",
        "http://127.1",
        "http://256.0.0.1",
        "http://[::1",
        "http://[fe80::1%eth0]",
        "http://example.org:0",
        "http://example.org:65536",
        "http://example.org:x",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(InputError, match="no wildcards"):
        ServingConfig(cors_origins=(origin,))
