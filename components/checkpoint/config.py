"""The finished model that a run starts from."""

import dataclasses

from albert_core.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """A finished model that a run starts from in place of text, and files that lie elsewhere.

    Any of the other settings without a `path` is refused with an InputError.

    Attributes:
        path: Checkpoint of any kind that `albert info` knows, local, gs:// or s3://: a TensorFlow 1
            checkpoint or its folder, a TF-Hub module, a folder of Hugging Face, one of this
            program; on this machine also a run's folder, for its pretrained model. Empty: the run
            starts from text.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint that has none beside it.
        vocab: Vocabulary, if not the one beside it: a SentencePiece model, a vocab.txt or a folder
            that holds one.
        lower_case: Whether the vocabulary is for lower-cased text, if not as the files say.
        strip_accents: Whether it is for text without accents, if not as the files say.
    """

    path: str = ""
    albert_config: str = ""
    vocab: str = ""
    lower_case: bool | None = None
    strip_accents: bool | None = None

    def __post_init__(self) -> None:
        """Refuse `albert_config`, `vocab`, `lower_case` and `strip_accents` without a `path`.

        Raises:
            InputError: One of them is given (false counts as given), and no path.
        """
        names = ("albert_config", "vocab", "lower_case", "strip_accents")
        given = [name for name in names if getattr(self, name) not in ("", None)]
        if given and not self.path:
            raise InputError(
                f"checkpoint.{given[0]}: got {getattr(self, given[0])}, expected it beside a "
                "checkpoint.path (--checkpoint), the model that it belongs to; in a run from text "
                "a vocabulary is vocab.source"
            )

    @property
    def addresses(self) -> dict[str, str]:
        """The files and folders that are given, by the dotted names of their settings.

        These are `checkpoint.path`, `checkpoint.albert_config` and `checkpoint.vocab`.
        """
        named = {
            "checkpoint.path": self.path,
            "checkpoint.albert_config": self.albert_config,
            "checkpoint.vocab": self.vocab,
        }
        return {name: address for name, address in named.items() if address}
