"""Read the vocabulary beside a checkpoint; write it in the files that each format expects."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.files.atomic import write_json
from albert_core.tokenization import Tokenizer, load_tokenizer
from albert_core.tokenization.interface import SETTINGS_NAME
from albert_core.tokenization.kinds import vocabulary_patterns

if TYPE_CHECKING:
    from albert_core.checkpoints.checkpoint import Checkpoint

FindTokenizer = Callable[[Path], Tokenizer | None]
"""Function from a checkpoint's folder to its vocabulary; None if there is none."""


def find_tokenizer(
    folder: Path,
    *,
    vocab: str | Path | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
) -> Tokenizer | None:
    """Return the vocabulary of a checkpoint; None if its folder has none.

    Its size is not compared with the model's.

    Args:
        folder: The checkpoint's folder.
        vocab: Another file or folder to take it from, local, gs:// or s3://, which must have one.
        lower_case: Whether it is for lower-cased text, if not as its settings say.
        strip_accents: Whether it is for text without accents, if not as its settings say.

    Raises:
        InputError: It cannot be used, or there are several; or `lower_case` or `strip_accents` is
            given and there is no vocabulary.
        ServiceError: The storage of a `vocab` in the cloud failed.
    """
    patterns = vocabulary_patterns()
    if vocab is None and not any(True for pattern in patterns for _ in folder.glob(pattern)):
        for name, value in (("lower_case", lower_case), ("strip_accents", strip_accents)):
            if value is not None:
                raise InputError(
                    f"{name}: got {value}, but {folder} holds no vocabulary; name one with --vocab"
                )
        return None
    return load_tokenizer(vocab or folder, lower_case=lower_case, strip_accents=strip_accents)


def summarize_vocabulary(folder: Path) -> str:
    """Return kind, size, case and kept accents of a folder's vocabulary; empty if it has none.

    One that cannot be read gives "unusable: " and the reason, and no error: the rest of the folder
    is still worth telling.
    """
    try:
        tokenizer = find_tokenizer(folder)
    except InputError as error:
        return f"unusable: {error}"
    return describe_tokenizer(tokenizer) if tokenizer else ""


def describe_tokenizer(tokenizer: Tokenizer) -> str:
    """Return kind, size, case and kept accents of a vocabulary."""
    case = "lower case" if tokenizer.lower_case else "cased"
    accents = ", accents kept" if tokenizer.keeps_accents else ""
    return f"{tokenizer.display_name}, {len(tokenizer):,} tokens, {case}{accents}"


def check_size(tokenizer: Tokenizer, config: AlbertConfig, *, source: str) -> None:
    """Refuse a vocabulary whose size is not the model's.

    Raises:
        InputError: The sizes differ.
    """
    if len(tokenizer) != config.vocab_size:
        raise InputError(
            f"vocabulary {source}: got {len(tokenizer):,} tokens, expected the model's vocab_size="
            f"{config.vocab_size:,}; put the vocabulary the model was trained with beside it, or "
            "name it with --vocab"
        )


def require_tokenizer(checkpoint: "Checkpoint") -> Tokenizer:
    """Return a checkpoint's vocabulary.

    Raises:
        InputError: It is missing, or its size is not the model's.
    """
    if checkpoint.tokenizer is None:
        raise InputError(
            f"{checkpoint.source}: has no vocabulary; put the one it was trained with beside it"
        )
    check_size(checkpoint.tokenizer, checkpoint.config, source=checkpoint.source)
    return checkpoint.tokenizer


def write_original_vocabulary(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the vocabulary into an existing folder, named as the original's export scripts want.

    A `.vocab` file with a line (piece, tab, log probability) for each id is added, if the kind of
    tokenizer has scores. The tokenizer's settings, which those scripts ignore, are written, too.
    """
    tokenizer.save(folder)
    vocabulary = folder / tokenizer.original_file_name
    (folder / tokenizer.file_name).rename(vocabulary)
    if table := tokenizer.score_table():
        vocabulary.with_suffix(".vocab").write_bytes(table.encode())


def write_huggingface_vocabulary(tokenizer: Tokenizer, config: AlbertConfig, folder: Path) -> None:
    """Write the files that transformers' AutoTokenizer reads into an existing folder.

    These are the vocabulary, tokenizer_config.json, special_tokens_map.json and, for kinds that
    need it, tokenizer.json. This program's file of settings is not among them, and is removed if
    it was there.
    """
    tokenizer.save(folder)
    (folder / SETTINGS_NAME).unlink()  # tokenizer_config.json says the same
    if tokenizer_json := tokenizer.hugging_face_json():
        write_json(folder / "tokenizer.json", tokenizer_json)
    special_tokens = _special_tokens(tokenizer)
    settings: dict[str, Any] = {
        "tokenizer_class": tokenizer.hugging_face_class,
        **tokenizer.hugging_face_settings,
        "model_max_length": config.max_position_embeddings,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **special_tokens,
    }
    write_json(folder / "tokenizer_config.json", settings)
    write_json(folder / "special_tokens_map.json", special_tokens)


def _special_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """Return the special tokens, as text, by the names that transformers has for their roles.

    These are padding, unknown, [CLS], [SEP] and mask, and further roles that the tokenizer's kind
    has there.
    """
    roles = {
        "pad_token": "pad",
        "unk_token": "unknown",
        "cls_token": "cls",
        "sep_token": "sep",
        "mask_token": "mask",
        **tokenizer.hugging_face_roles,
    }
    return {
        name: tokenizer.pieces[getattr(tokenizer.special_ids, role)] for name, role in roles.items()
    }
