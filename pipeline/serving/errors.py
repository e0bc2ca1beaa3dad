"""Errors as clients see them: JSON with what was got and expected, never a traceback."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

RETRY_AFTER_S = 1
RETRY_AFTER = {"Retry-After": str(RETRY_AFTER_S)}
"""Headers of the answers that ask a client to come again."""

INSTANCES_PREFIX = "/v1/"
"""Where the paths of KServe's and TensorFlow Serving's protocol begin."""

TEXT_TAG, WORDS_TAG = "<text>", "<words>"
"""What pydantic adds to the place of a value that may be a text or words; not in the request."""

_LONGEST_GOT = 80
_PYDANTIC_BEGIN = "Input should be "

# What pydantic expected where its own words say less, by the type of its error.
_EXPECTED = {
    "missing": "something here",
    "extra_forbidden": "no such field",
    "string_type": "a string",
    "string_unicode": "a string of whole characters, without lone surrogates",
    "list_type": "a list",
    "int_type": "a whole number",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_LIMITS = {
    "string_too_long": ("at most {max_length:,} characters", "characters"),
    "too_long": ("at most {max_length:,} items", "items"),
    "too_short": ("{min_length:,} or more items", "items"),
}


class RequestError(Exception):
    """A request that cannot be answered.

    Args:
        status: The HTTP status.
        what: The part of the request that is wrong, such as `examples[2].text`.
        got: What it is.
        expected: What it should be.
        headers: Headers of the response, beside those that every response has; None: no others.
    """

    def __init__(
        self,
        status: int,
        what: str,
        got: str,
        expected: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Make the message "what: got ..., expected ..." of its parts, and keep these, too."""
        super().__init__(f"{what}: got {got}, expected {expected}")
        self.status, self.what, self.got, self.expected = status, what, got, expected
        self.headers = dict(headers or {})

    def body(self, path: str = "") -> dict[str, Any]:
        """Return the body of the response to a request for a path.

        It has the values of a `FailureResponse`; in the `instances` protocol, whose clients expect
        a text, those of an `InstancesFailure`.
        """
        if path.startswith(INSTANCES_PREFIX):
            return {"error": str(self)}
        return {"error": {"what": self.what, "got": self.got, "expected": self.expected}}


def closing_response(
    error: RequestError, path: str = ""
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the headers and the body of an answer with an error that ends its connection.

    Args:
        error: The error.
        path: The path of the request; empty if it is not known.
    """
    content = json.dumps(error.body(path)).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(content)),
        "connection": "close",
        **error.headers,
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()], content


def from_validation_error(error: Mapping[str, Any]) -> RequestError:
    """Return the request error for an error of pydantic's or FastAPI's validation.

    Its status is 400 for a body that is no JSON, 415 for one that is not sent as JSON, else 422.

    Args:
        error: An item of `RequestValidationError.errors()`.
    """
    kind, context = error["type"], error.get("ctx", {})
    if kind == "json_invalid":
        reason = f"{context['error']} at character {error['loc'][-1]:,}"
        return RequestError(400, "body", reason, "JSON")
    if isinstance(error["input"], bytes):
        return RequestError(415, "Content-Type", "another or none", "application/json")
    what = _path(error["loc"][1:])
    if kind in _LIMITS:
        expected, unit = _LIMITS[kind]
        got = f"{len(error['input']):,} {unit}"
        return RequestError(422, what, got, expected.format(**context))
    if kind == "value_error":
        return RequestError(422, what, shortened(error["input"]), str(context["error"]))
    got = "nothing" if kind == "missing" else shortened(error["input"])
    expected = _EXPECTED.get(kind, error["msg"].removeprefix(_PYDANTIC_BEGIN))
    return RequestError(422, what, got, expected)


def from_unreadable_body(cause: BaseException | None) -> RequestError:
    """Return the request error, status 400, for a body that never came to be parsed as JSON.

    It tells apart a body that is nested too deep, one that is not UTF-8, and all others.

    Args:
        cause: The exception that reading it ended with; None if it is not known.
    """
    reasons: Sequence[tuple[type[BaseException], str]] = (
        (RecursionError, "lists or objects within each other, too deep"),
        (UnicodeDecodeError, "bytes that are not UTF-8"),
    )
    for kind, reason in reasons:
        if isinstance(cause, kind):
            return RequestError(400, "body", reason, "JSON")
    return RequestError(400, "body", "something that cannot be read", "JSON")


def shortened(value: Any) -> str:
    """Return a value as JSON for messages; one over 80 characters is cut there and ends in `...`.

    Objects that JSON does not know appear as strings; a value that cannot be written, such as one
    nested too deep, as the name of its type.
    """
    try:
        text = json.dumps(value, default=str)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= _LONGEST_GOT else f"{text[:_LONGEST_GOT]}..."


def _path(parts: Sequence[str | int]) -> str:
    """Return the path of a value in the request, such as `examples[2].text`.

    The tags `<text>` and `<words>`, by which validation tells the two apart, are left out. It is
    `body` where nothing else is in the path.

    Args:
        parts: Names and numbers from the body down, as in `loc` of pydantic's errors.
    """
    known = [part for part in parts if part not in (TEXT_TAG, WORDS_TAG)]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in known)
    return text.removeprefix(".") or "body"
