"""What a run's files are seen through before it starts: all of them here, or listings of buckets.

`pipeline.local.inputs` reads the files on this machine, `pipeline.remote.inputs` looks at the
listings of buckets.
"""

import dataclasses
from typing import Protocol

from albert_core.tasks import Task
from albert_core.tokenization import Tokenizer
from components.checkpoint.config import CheckpointConfig
from components.promote.model_registry import AcceptedModel
from pipeline.config import RunConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunStart:
    """The inputs that a run starts from.

    Attributes:
        config: The run as its steps get it: addresses that are valid where they run, and the date
            in place of its placeholder where it is known.
        date: Date of a dated run, or what a schedule passes for it; else `NO_DATE`.
        corpus_fingerprint: Hash of the text; `unknown` where the text was not read.
        accepted: The model that the run goes on from; None if there is none, or if a step finds it
            out later.
        tokenizer: The vocabulary; None if it is to be trained, or was not read.
    """

    config: RunConfig
    date: str
    corpus_fingerprint: str
    accepted: AcceptedModel | None = None
    tokenizer: Tokenizer | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointStart:
    """The checkpoint that a run starts from.

    Attributes:
        config: It by addresses that are valid where the steps run.
        fingerprint: Hash of the model; `unknown` where it was not read.
        max_length: Longest sequence that it reads, in tokens; None where it was not read.
        trained_length: Longest sequence that it was pretrained on; None where nothing tells it.
        tokenizer: Its vocabulary; None where it was not read.
    """

    config: CheckpointConfig
    fingerprint: str
    max_length: int | None = None
    trained_length: int | None = None
    tokenizer: Tokenizer | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskFiles:
    """A task and its files.

    Attributes:
        task: Its declaration.
        folder: Address of the folder of its files.
        fingerprint: Hash of declaration and files; `unknown` where they were not read.
    """

    task: Task
    folder: str
    fingerprint: str


class InputView(Protocol):
    """A way to look at the files of a run.

    Its methods raise InputError for unusable files, and ServiceError where a storage fails.
    """

    def find_start(self, config: RunConfig) -> RunStart:
        """Check the inputs of a run from text, as far as they are seen, but those of its tasks.

        Returns:
            The inputs, with the configuration that takes the place of `config`.
        """

    def find_checkpoint(self, config: RunConfig) -> CheckpointStart:
        """Check the checkpoint of a run from one, as far as seen, and return it."""

    def find_task(self, name: str, config: RunConfig, tokenizer: Tokenizer | None) -> TaskFiles:
        """Check the files of one of the run's tasks, as far as seen, and return where they are.

        `tokenizer` is the run's vocabulary, where it is known.
        """
