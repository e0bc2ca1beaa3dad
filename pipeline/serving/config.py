"""Settings of the server."""

import dataclasses
import re

from albert_core.errors import InputError
from albert_core.settings.checks import check_at_least, check_positive
from pipeline.serving.origins import MAX_PORT, check_origin

_MODEL_NAME = re.compile(r"(?!\.+$)[A-Za-z0-9._-]+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """Where to listen, how requests are run together, and what they may ask for.

    Settings out of their range, and a queue shorter than `max_examples`, raise InputError.

    Attributes:
        host: Address to listen on; `0.0.0.0` is every network of this machine.
        port: Port to listen on; 0 takes a free one.
        max_batch_size: Examples that are run together.
        max_wait_ms: Milliseconds that a request waits, while nothing runs, for others to be run
            with: for as many examples as came at a time before.
        max_queued_examples: Number of examples that may wait; further requests are refused with
            status 503, to be sent again.
        max_body_bytes: Longest body of a request, in bytes, as it is sent and once decompressed.
        max_text_characters: Longest text, question or context, in characters; a list of words
            counts with a space between any two.
        max_examples: Most examples of a request.
        header_timeout_s: Seconds that the headers of a request may take to arrive.
        body_timeout_s: Seconds that its body may take to arrive, and 1 s longer for each 1,000
            bytes that have arrived.
        answer_timeout_s: Seconds for which a client may read nothing of an answer that waits.
        max_connections: Most open connections; fewer where the limit of open files (ulimit -n) is
            too low for them.
        max_connections_per_address: Most of one address, but loopback ones; half of all if not
            given. Behind a proxy or NAT on another machine all are of its address: give as many as
            in all.
        cors_origins: Origins such as https://example.org whose pages may ask from a browser; `*`
            is every one.
        model_name: Name of the model in the paths of the `instances` protocol, of letters, digits,
            `.`, `_` and `-`; that of its task or folder if not given.
        null_threshold: Null odds from which on a question has no answer, for models of such
            questions alone; if not given, the best on the dev set where a fine-tuning left it
            beside the model, else 0.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_batch_size: int = 32
    max_wait_ms: float = 5.0
    max_queued_examples: int = 512
    max_body_bytes: int = 1_000_000
    max_text_characters: int = 5_000
    max_examples: int = 64
    header_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    answer_timeout_s: float = 10.0
    max_connections: int = 512
    max_connections_per_address: int | None = None
    cors_origins: tuple[str, ...] = ()
    model_name: str | None = None
    null_threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse settings out of their range, or a queue too short for a request of most examples.

        Raises:
            InputError: A setting is below its smallest value (1000 bytes of a body, 0 for the port
                and `max_wait_ms`, else 1), a time limit not above 0, the port above 65535, the
                queue shorter than `max_examples`, an origin neither `*` nor as browsers send it, or
                the model's name not fit for a path.
        """
        check_at_least(
            self,
            port=0,
            max_batch_size=1,
            max_wait_ms=0,
            max_queued_examples=1,
            max_body_bytes=1000,
            max_text_characters=1,
            max_examples=1,
            max_connections=1,
            max_connections_per_address=1,
        )
        check_positive(self, "", "header_timeout_s", "body_timeout_s", "answer_timeout_s")
        if self.port > MAX_PORT:
            raise InputError(f"port: got {self.port}, expected at most {MAX_PORT}")
        if self.max_queued_examples < self.max_examples:
            raise InputError(
                f"max_queued_examples: got {self.max_queued_examples}, expected at least "
                f"max_examples={self.max_examples}, or a whole request would never be taken"
            )
        for origin in self.cors_origins:
            check_origin(origin)
        if self.model_name is not None and not _MODEL_NAME.fullmatch(self.model_name):
            raise InputError(
                f"model_name: got {self.model_name!r}, expected letters, digits, '.', '_' and '-', "
                "not dots alone"
            )
