"""Settings of the server."""

import dataclasses

from albert_core.checks import check_at_least
from albert_core.errors import InputError

_MAX_PORT = 65535


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """Where to listen, how requests are run together, and what they may ask for.

    Attributes:
        host: Address to listen on; `0.0.0.0` is every network of this machine.
        port: Port to listen on; 0 takes a free one.
        max_batch_size: Examples that are run together.
        max_wait_ms: Milliseconds that a request waits for others to be run with.
        max_queued_examples: Examples that may wait; requests beyond are told to come again (503).
        max_body_bytes: Longest body of a request, in bytes.
        max_text_characters: Longest text, question or context, in characters.
        max_examples: Most examples of a request.
        null_threshold: Null odds from which on a question has no answer, where that may be; if not
            given, the best on the dev set where a fine-tuning left it beside the model, else 0.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_batch_size: int = 32
    max_wait_ms: float = 5.0
    max_queued_examples: int = 512
    max_body_bytes: int = 1_000_000
    max_text_characters: int = 5_000
    max_examples: int = 64
    null_threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse settings out of their range, or a queue too short for a request of most examples.

        Raises:
            InputError: A setting is below its smallest value (1000 bytes of a body, 0 for the port
                and `max_wait_ms`, else 1), the port above _MAX_PORT, or the queue too short.
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
        )
        if self.port > _MAX_PORT:
            raise InputError(f"port: got {self.port}, expected at most {_MAX_PORT}")
        if self.max_queued_examples < self.max_examples:
            raise InputError(
                f"max_queued_examples: got {self.max_queued_examples}, expected at least "
                f"max_examples={self.max_examples}, or a whole request would never be taken"
            )
