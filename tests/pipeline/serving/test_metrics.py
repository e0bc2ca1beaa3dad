"""Requests are counted by what they were answered with."""

import asyncio
import contextlib
from typing import Any

import pytest

from pipeline.serving.metrics import MeasuredApp, ServerMetrics


@pytest.mark.parametrize(
    ("statuses", "fails", "counted"),
    [([200], False, 200), ([200], True, 200), ([], True, 500), ([], False, None)],
)
def test_only_answers_and_failures_are_counted(
    statuses: list[int], fails: bool, counted: int | None
) -> None:
    """A request without an answer is one whose client has gone."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        for status in statuses:
            await send({"type": "http.response.start", "status": status, "headers": []})
        if fails:
            raise ValueError

    async def ignore(*_: Any) -> None:
        pass

    metrics = ServerMetrics()
    app = MeasuredApp(answer, metrics, frozenset(["/"]))
    with contextlib.suppress(ValueError):
        asyncio.run(app({"type": "http", "path": "/"}, ignore, ignore))
    text = metrics.exposition().decode()
    expected = f'albert_requests_total{{endpoint="/",status="{counted}"}} 1.0'
    assert (expected in text) == (counted is not None)
    assert ("albert_request_seconds_count{" in text) == (counted is not None)
    assert ("albert_errors_total{" in text) == (counted == 500)
