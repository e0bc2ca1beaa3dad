"""The process of `albert serve`: listens, loads the model, and stops on a signal."""

import contextlib
import dataclasses
import functools
import gc
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import uvicorn

from albert_core.errors import InputError
from albert_core.inference import LoadedModel, load
from albert_core.processes.stops import GRACE_S, answered_signals, longer_grace
from pipeline.serving.app import make_app
from pipeline.serving.config import ServingConfig
from pipeline.serving.connections import ConnectionTable
from pipeline.serving.metrics import ServerMetrics
from pipeline.serving.open_files import limit_by_open_files
from pipeline.serving.protocol import ClientLimits, LimitedProtocol

_SHUTDOWN_TIMEOUT_S = 30
_BACKLOG = 2048
# asyncio takes so many connections before any of them is counted, and as many again before those
# that make room for them are closed: there must be open files for all (`open_files.py`).
_ACCEPTED_AT_ONCE = 8
# A client may send a body so many times as long as the longest to its end, before it reads that it
# was refused: enough for one that is mistaken, and few seconds' worth for the server.
_DISCARDED_BODIES = 64


def run_server(
    model: str, config: ServingConfig, *, reading: Mapping[str, Any] | None = None
) -> None:
    """Serve a model until SIGTERM or Ctrl-C, and print a line on start and end.

    What was changed or left out on reading the model is reported on standard error. The port is
    bound and the limit of open files checked before the model is loaded, so that a taken port or
    too low a limit is known at once. Requests that arrived before the signal are answered, if that
    takes no longer than 30 s. To be called in the main thread, which takes the signals.

    Args:
        model: Path of what `albert_core.load` can load.
        config: Settings; a `null_threshold` in it wins over the model's.
        reading: Task, configuration and vocabulary of a checkpoint, if not its own, and its
            precision: the keyword arguments of `albert_core.load`.

    Raises:
        InputError: The model cannot be served, the address not be listened on, the limit of open
            files leaves too few connections (`limit_by_open_files`), or there is a `null_threshold`
            for a model that has no use for it.
        ServiceError: The storage failed.
    """
    with _listen(config.host, config.port) as listener:
        metrics = ServerMetrics()
        protocol = functools.partial(LimitedProtocol, limit_clients(config, metrics))
        begin_s = time.perf_counter()
        loaded = load(model, **(reading or {}))
        load_s = time.perf_counter() - begin_s
        if config.null_threshold is not None:
            loaded = _with_null_threshold(loaded, config.null_threshold)
        computing = (f"computing in {loaded.compute}",) if loaded.compute else ()
        for note in (*loaded.notes, *computing):
            print(f"note: {note}", file=sys.stderr, flush=True)
        begin_s = time.perf_counter()
        app = make_app(loaded, config, metrics)
        times = f"loaded in {load_s:.1f} s, warmed up in {time.perf_counter() - begin_s:.1f} s"
        gc.collect()
        gc.freeze()  # a full collection over the loaded modules and model would pause for a second
        what = f"{loaded.name} ({loaded.signature.kind}, {loaded.format}; {times})"
        line = f"Serving {what} on {_address(listener)}"
        _Server(make_settings(app, protocol), line).run(sockets=[listener])
    print("Stopped", flush=True)


def _with_null_threshold(model: LoadedModel, threshold: float) -> LoadedModel:
    """Return a model that answers no question from other null odds on.

    Raises:
        InputError: It is none of questions that may have no answer.
    """
    if not model.signature.has_unanswerable:
        raise InputError(
            f"null_threshold: got {threshold:g}, expected none: {model.name} "
            f"({model.signature.kind}) does not answer questions that may have no answer; leave it "
            "out, or name the task of such questions with --task"
        )
    return dataclasses.replace(model, null_threshold=threshold)


def limit_clients(config: ServingConfig, metrics: ServerMetrics) -> ClientLimits:
    """Return the limits for clients that settings ask for, and let the metrics count connections.

    A note on standard error tells of fewer connections than the settings ask for. Raises the
    process's limit of open files.

    Raises:
        InputError: The limit of open files allows fewer than asked for, and fewer than 16.
    """
    in_all = limit_by_open_files(config.max_connections)
    if in_all < config.max_connections:
        print(
            f"note: at most {in_all} connections, not {config.max_connections}: the limit of open "
            "files (ulimit -n) allows no more",
            file=sys.stderr,
            flush=True,
        )
    per_address = config.max_connections_per_address or (in_all + 1) // 2
    connections = ConnectionTable(in_all, per_address)
    metrics.connections.set_function(lambda: len(connections))
    return ClientLimits(
        connections=connections,
        header_timeout_s=config.header_timeout_s,
        answer_timeout_s=config.answer_timeout_s,
        max_discarded_bytes=_DISCARDED_BODIES * config.max_body_bytes,
        on_drop=lambda reason: metrics.dropped.labels(reason).inc(),
    )


def make_settings(app: Any, protocol: Any) -> uvicorn.Config:
    """Return uvicorn's settings for an application and the factory of its protocols.

    Event loop and protocols are fixed: another loop would accept connections without end, and a
    WebSocket would leave the limits of the protocol. Uvicorn warns of nothing but the mistakes of
    clients, which are counted; lines about them would let anybody fill the log.
    """
    return uvicorn.Config(
        app,
        http=protocol,
        loop="asyncio",
        ws="none",
        backlog=_ACCEPTED_AT_ONCE,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
    )


def _address(listener: socket.socket) -> str:
    """Return the URL of a socket, with the port it got."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    """Return a bound and listening socket, for the caller to close.

    It is of IPv4 or IPv6, whichever the host's first address is.

    Raises:
        InputError: The address is unknown, taken or not allowed.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or answers wait 40 ms
        return listener
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"host, port: cannot listen on {host} port {port} ({error}); give another, or --port 0 "
            "for a free one"
        ) from error


class _Server(uvicorn.Server):
    """Uvicorn's server with a line on start, and without its own way to end on signals.

    Args:
        config: Its settings.
        line: Printed, with how to end it, when the server answers.
    """

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer requests, and say so."""
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(_BACKLOG)  # uvicorn's is what asyncio accepts at once, too
        print(f"{self._line} (Ctrl-C ends it)", flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals stop the server, and put the handlers from before back at the end.

        Uvicorn would raise the signals again and exit with a failure.
        """
        before = {number: signal.signal(number, self.handle_exit) for number in answered_signals()}
        try:
            with longer_grace(lambda: _SHUTDOWN_TIMEOUT_S + GRACE_S):
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
