"""A headless Chromium, told what to do through a pipe: pages, sizes, pictures, print."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PATIENCE_S = 120.0
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def find_browser() -> str | None:
    """Return the path of an installed Chromium; None if there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a Chromium process, which ends with the `with` block.

    Args:
        program: Path of Chromium.
        profile: Empty folder for its profile.
    """

    def __init__(self, program: str, profile: Path) -> None:
        their_input, self._output = os.pipe()
        self._input, their_output = os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        options = " ".join((*_OPTIONS, f"--user-data-dir='{profile}'"))
        command = f"exec '{program}' {options} 3<&{their_input} 4>&{their_output}"
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(their_input, their_output),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(their_input)
        os.close(their_output)
        self._number, self._rest, self._session = 0, b"", ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._input)
        os.close(self._output)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._output, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            answer = json.loads(self._read())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
        raise TimeoutError(method)

    def _read(self) -> bytes:
        """Return the next message, which ends with a NUL."""
        while b"\0" not in self._rest:
            data = os.read(self._input, 1 << 20)
            assert data, "Chromium ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return message

    def open(self, page: Path, *, width: int, is_dark: bool = False) -> None:
        """Show a page in a window of a width, in the light or the dark theme, laid out whole."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="screen", features=[theme])
        self.call("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + _PATIENCE_S
        while self.evaluate("document.readyState + location.href") != f"complete{page.as_uri()}":
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression on the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, box: dict[str, float]) -> bytes:
        """Return a part of the page as PNG: `x`, `y`, `width` and `height` in pixels."""
        answer = self.call(
            "Page.captureScreenshot", clip={**box, "scale": 1}, captureBeyondViewport=True
        )
        return base64.b64decode(answer["data"])

    def print_page(self) -> bytes:
        """Return the page as PDF, on A4, as a reader whose screen is dark would print it."""
        dark = {"name": "prefers-color-scheme", "value": "dark"}
        self.call("Emulation.setEmulatedMedia", media="print", features=[dark])
        answer = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        return base64.b64decode(answer["data"])
