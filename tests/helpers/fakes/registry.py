"""A fake registry of images: it answers HEAD for manifests, to anyone or after a login."""

import base64
from typing import Literal

from tests.helpers.fakes.loopback import Answer, Call, refusal

TOKEN = "token-of-the-registry"


class Registry:
    """The registry.

    Args:
        *images: Images that it has, as `repository:tag`.
        login: How it asks for a login; empty: not at all.
        user: Name and password that it accepts.
    """

    def __init__(
        self,
        *images: str,
        login: Literal["", "bearer", "basic"] = "",
        user: tuple[str, str] = ("", ""),
    ) -> None:
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
        repository, _, reference = call.path.removeprefix("/v2/").partition("/manifests/")
        return Answer({}) if f"{repository}:{reference}" in self.images else refusal(404)

    def _challenge(self, call: Call) -> Answer:
        details = 'realm="registry"'
        if self.login == "bearer":
            realm = f"http://{call.headers['host']}/token"
            details = f'realm="{realm}",service="registry",scope="repository:albert:pull"'
        challenge = {"WWW-Authenticate": f"{self.login.capitalize()} {details}"}
        return Answer({}, 401, challenge)
