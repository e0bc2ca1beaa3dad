"""A fake bucket of Google Cloud Storage that says no: it may be private, or its readers pay."""

import base64
import urllib.parse

from tests.helpers.fakes.loopback import Answer, Call

BUCKET = "albert-fake"
CONTENT = ["one", "line"]
_SIZE = 15  # of the content as JSON


class Bucket:
    """The parts of the JSON API that reading and removing take, for a bucket with `a/b.json`.

    Args:
        is_public: Whether it answers without a token.
        is_listed: Whether it lists its objects, and tells that others are not there.
        readers_pay: Whether a request must name the project that pays.
        is_rewritten: Whether somebody writes the object anew as soon as it has been listed.
        refusal: Status and message for every request; None: none.
    """

    def __init__(
        self,
        *,
        is_public: bool = True,
        is_listed: bool = True,
        readers_pay: bool = False,
        is_rewritten: bool = False,
        refusal: tuple[int, str] | None = None,
    ) -> None:
        self.is_public, self.is_listed, self.readers_pay = is_public, is_listed, readers_pay
        self.is_downloaded = self.has_object = True
        self.is_rewritten, self.generation = is_rewritten, 1
        self.refusal = refusal

    def __call__(self, call: Call) -> Answer:
        if self.refusal:
            return _error(*self.refusal)
        payer = call.query.get("userProject")
        if (payer or not self.is_public) and "authorization" not in call.headers:
            return _error(401, "Anonymous caller does not have storage.objects.get access")
        if self.readers_pay and not payer:
            return _error(400, "Bucket is a requester pays bucket but no user project provided.")
        _, _, name = urllib.parse.unquote(call.path).partition("/o/")
        if call.path.startswith("/download/"):
            return self._download(call)
        if not name:
            if not self.is_listed:
                return _error(403, "does not have storage.objects.list access")
            is_named = "a/b.json".startswith(call.query.get("prefix", ""))
            answer = Answer({"items": [_object(self.generation)] if is_named else []})
            # Google's client asks for the bucket, too, in a thread.
            self.generation += self.is_rewritten and call.path.endswith("/o")
            return answer
        if name == "a/b.json" and call.method == "DELETE":
            return self._remove(call)
        if name == "a/b.json":
            return Answer(_object(self.generation))
        if not self.is_listed:
            return _error(403, "does not have storage.objects.list access")
        return _error(404, "No such object")

    def _remove(self, call: Call) -> Answer:
        if call.query.get("ifGenerationMatch") not in (None, str(self.generation)):
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        self.has_object = False
        return Answer(b"", 204)

    def _download(self, call: Call) -> Answer:
        if not self.is_downloaded:
            return _error(403, "does not have storage.objects.get access")
        if call.headers.get("range", "").startswith(f"bytes={_SIZE}-"):
            return _error(416, "Requested range not satisfiable")
        return Answer(CONTENT, headers={"X-Goog-Hash": "crc32c=" + _crc32c()})


def _object(generation: int) -> dict[str, str]:
    return {
        "name": "a/b.json",
        "bucket": BUCKET,
        "size": str(_SIZE),
        "generation": str(generation),
        "crc32c": _crc32c(),
        "updated": "2026-01-01T00:00:00Z",
    }


def _crc32c() -> str:
    import google_crc32c

    return base64.b64encode(google_crc32c.Checksum(b'["one", "line"]').digest()).decode()


def _error(status: int, message: str) -> Answer:
    return Answer({"error": {"code": status, "message": message}}, status)


def refused_login(_: Call) -> Answer:
    """A login at Google that has expired."""
    body = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    return Answer(body, 400)
