"""Metrics of the server for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_UNKNOWN = "unknown"


class ServerMetrics:
    """The server's metrics, in a registry of their own.

    Attributes:
        registry: The registry.
        requests: Number of requests answered, by endpoint and status.
        errors: Number of requests answered with 4xx or 5xx, by status.
        request_seconds: Seconds from a request's headers to the end of its answer, by endpoint.
        batch_size: Number of examples the model was run on at once.
        queued: Number of examples that wait to be run; whoever has the queue sets its function.
        connections: Number of open connections; whoever has them sets its function.
        dropped: Number of connections that the server ended, by reason.
    """

    def __init__(self) -> None:
        """Register the server's metrics, all at zero, in a registry of their own.

        They are requests, errors and seconds by endpoint or status, batch sizes, the queue, and
        connections.
        """
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "albert_requests", "Requests answered", ["endpoint", "status"], registry=self.registry
        )
        self.errors = Counter(
            "albert_errors", "Requests answered with 4xx or 5xx", ["status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "albert_request_seconds",
            "Seconds from a request's headers to the end of its answer",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "albert_batch_size",
            "Examples the model was run on at once",
            buckets=_SIZES,
            registry=self.registry,
        )
        self.queued = Gauge(
            "albert_queued_examples", "Examples that wait to be run", registry=self.registry
        )
        self.connections = Gauge("albert_connections", "Open connections", registry=self.registry)
        self.dropped = Counter(
            "albert_dropped_connections",
            "Connections that the server ended, of slow clients or where there were too many",
            ["reason"],
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


class MeasuredApp:
    """ASGI middleware that counts and times the requests to an application.

    Args:
        app: The application.
        metrics: The metrics to update.
        endpoints: Paths with values of their own; all others count as `unknown`, or each address
            that somebody tries would be a new time series.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics, endpoints: frozenset[str]) -> None:
        self._app, self._metrics, self._endpoints = app, metrics, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and count it; what is not HTTP is passed on uncounted.

        A request that ends in an exception before its response begins counts as status 500; the
        exception is raised on. One that has no response is not counted: its client has gone.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status: int | None = None

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        except Exception:
            status = status or 500
            raise
        finally:
            if status is not None:
                self._count(scope["path"], status, time.perf_counter() - started)

    def _count(self, path: str, status: int, seconds: float) -> None:
        """Update the metrics of requests for one that has ended; from status 400 on it is an error.

        Paths that are no endpoint are counted together.
        """
        endpoint = path if path in self._endpoints else _UNKNOWN
        self._metrics.requests.labels(endpoint, status).inc()
        self._metrics.request_seconds.labels(endpoint).observe(seconds)
        if status >= 400:
            self._metrics.errors.labels(status).inc()
