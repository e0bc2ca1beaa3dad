"""A fake registry of images: it answers for manifests and configurations of images."""

import base64
from typing import Any, Literal

from tests.helpers.fakes.loopback import Answer, Call, refusal

TOKEN = "token-of-the-registry"


class Registry:
    """The registry.

    Args:
        *images: Images that it has, as `repository:tag`.
        login: How it asks for a login; empty: not at all.
        user: Name and password that it accepts.
        architectures: What its images are for; none: it does not tell.
        is_index: Whether their manifests are lists of those of several architectures.
    """

    def __init__(
        self,
        *images: str,
        login: Literal["", "bearer", "basic"] = "",
        user: tuple[str, str] = ("", ""),
        architectures: tuple[str, ...] = (),
        is_index: bool = False,
    ) -> None:
        self.architectures, self.is_index = architectures, is_index
        self.images = images
        self.login = login
        self.basic = f"Basic {base64.b64encode(':'.join(user).encode()).decode()}"
        self.has_user = any(user)

    def __call__(self, call: Call) -> Answer:
        given = call.headers.get("authorization", "")
        if call.path == "/token":
            allowed = not self.has_user or given == self.basic
            return Answer({"token": TOKEN}) if allowed else refusal(401)
        expected = {"": given, "bearer": f"Bearer {TOKEN}", "basic": self.basic}[self.login]
        if given != expected:
            return self._challenge(call)
        if "/blobs/" in call.path:
            return Answer({"os": "linux", "architecture": self.architectures[0]})
        repository, _, reference = call.path.removeprefix("/v2/").partition("/manifests/")
        is_there = f"{repository}:{reference}" in self.images
        return Answer(self._manifest()) if is_there else refusal(404)

    def _manifest(self) -> dict[str, Any]:
        if self.is_index:
            platforms = [{"os": "linux", "architecture": name} for name in self.architectures]
            return {"manifests": [{"platform": platform} for platform in platforms]}
        return {"config": {"digest": "sha256:0"}} if self.architectures else {}

    def _challenge(self, call: Call) -> Answer:
        details = 'realm="registry"'
        if self.login == "bearer":
            realm = f"http://{call.headers['host']}/token"
            details = f'realm="{realm}",service="registry",scope="repository:albert:pull"'
        challenge = {"WWW-Authenticate": f"{self.login.capitalize()} {details}"}
        return Answer({}, 401, challenge)
