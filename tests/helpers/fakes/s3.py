"""A fake bucket of S3 that says no: it may be private, in another region, or the login no good."""

from tests.helpers.fakes.loopback import Answer, Call

BUCKET = "albert-fake"
CONTENT = b"one line"
_HEADERS = {"ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}


class S3Bucket:
    """The parts of the protocol that reading takes, for one bucket with one object, `a/b.txt`.

    Args:
        is_public: Whether it answers without a login.
        is_listed: Whether it lists its objects, and tells that others are not there.
        refusal: Status, code and further elements of the answer to every request; None: none.
        has_conditions: Whether writes keep to them.
    """

    def __init__(
        self,
        *,
        is_public: bool = True,
        is_listed: bool = True,
        refusal: tuple[int, str, str] | None = None,
        has_conditions: bool = True,
    ) -> None:
        self.is_public, self.is_listed = is_public, is_listed
        self.refusal, self.has_conditions = refusal, has_conditions

    def __call__(self, call: Call) -> Answer:
        if self.refusal:
            return _error(*self.refusal)
        if not self.is_public and "authorization" not in call.headers:
            return _error(403, "AccessDenied")
        if call.method == "PUT":
            is_refused = self.has_conditions and call.headers.get("if-match")
            return _error(412, "PreconditionFailed") if is_refused else Answer(b"", 200, _HEADERS)
        name = call.path.removeprefix(f"/{BUCKET}").strip("/")
        if not name:
            return self._list(call)
        if name == "a/b.txt":
            return _range(call)
        return _error(404, "NoSuchKey") if self.is_listed else _error(403, "AccessDenied")

    def _list(self, call: Call) -> Answer:
        if not self.is_listed:
            return _error(403, "AccessDenied")
        is_named = "a/b.txt".startswith(call.query.get("prefix", ""))
        facts = f"<Key>a/b.txt</Key><Size>{len(CONTENT)}</Size><ETag>{_HEADERS['ETag']}</ETag>"
        entry = f"<Contents>{facts}</Contents>"
        body = f"<ListBucketResult>{entry if is_named else ''}</ListBucketResult>"
        return Answer(body.encode(), 200, {"Content-Type": "application/xml"})


def _range(call: Call) -> Answer:
    if call.method == "HEAD":
        return Answer(CONTENT, 200, _HEADERS)
    first, _, last = call.headers.get("range", "bytes=0-99")[6:].partition("-")
    return Answer(CONTENT[int(first) : int(last) + 1], 206, _HEADERS)


def _error(status: int, code: str, more: str = "") -> Answer:
    body = f"<Error><Code>{code}</Code><Message>It says no.</Message>{more}</Error>"
    return Answer(body.encode(), status)
