"""The vocabulary beside a checkpoint, in the files that each kind of checkpoint expects."""

from pathlib import Path
from typing import Any

from albert_core.checkpoints.fast_tokenizer import fast_tokenizer
from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.files import write_json
from albert_core.tokenization import SentencePieceTokenizer, Tokenizer, load_tokenizer
from albert_core.tokenization.interface import SETTINGS_NAME
from albert_core.tokenization.sentencepiece import MODEL_NAME
from albert_core.tokenization.wordpiece import VOCABULARY_NAME

# As the original's export scripts want them.
_ORIGINAL_NAME = "30k-clean"
_PATTERNS = ("*.model", "*vocab*.txt")


def find_tokenizer(
    folder: Path, vocab: str | Path | None = None, *, lower_case: bool | None = None
) -> Tokenizer | None:
    """Return the vocabulary of a checkpoint; None where its folder has none.

    Args:
        folder: The checkpoint's folder.
        vocab: Another file or folder to take it from.
        lower_case: Wins over the setting found.

    Raises:
        InputError: There is one, but it cannot be used.
    """
    if vocab is None and not any(True for pattern in _PATTERNS for _ in folder.glob(pattern)):
        if lower_case is not None:
            raise InputError(f"lower_case: got {lower_case}, but {folder} holds no vocabulary")
        return None
    return load_tokenizer(vocab or folder, lower_case=lower_case)


def check_size(tokenizer: Tokenizer, config: AlbertConfig, *, source: str) -> None:
    """Refuse a vocabulary of another size than the model's.

    Raises:
        InputError: The sizes differ.
    """
    if len(tokenizer) != config.vocab_size:
        raise InputError(
            f"vocabulary {source}: got {len(tokenizer):,} pieces, expected the model's vocab_size="
            f"{config.vocab_size:,}; give the vocabulary the model was trained with, with --vocab"
        )


def original_vocabulary_name(tokenizer: Tokenizer) -> str:
    """Return the name of the vocabulary's file in the original's releases."""
    if isinstance(tokenizer, SentencePieceTokenizer):
        return f"{_ORIGINAL_NAME}.model"
    return VOCABULARY_NAME


def write_original_vocabulary(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files of the original's releases, and our settings beside them."""
    tokenizer.save(folder)
    if isinstance(tokenizer, SentencePieceTokenizer):
        (folder / MODEL_NAME).rename(folder / original_vocabulary_name(tokenizer))
        scored = zip(tokenizer.pieces, tokenizer.scores(), strict=True)
        lines = "".join(f"{piece}\t{score:g}\n" for piece, score in scored)
        (folder / f"{_ORIGINAL_NAME}.vocab").write_bytes(lines.encode())


def write_huggingface_vocabulary(tokenizer: Tokenizer, config: AlbertConfig, folder: Path) -> None:
    """Write the files from which transformers' AutoTokenizer makes its own."""
    tokenizer.save(folder)
    (folder / SETTINGS_NAME).unlink()  # tokenizer_config.json says the same
    tokenizer_class = "BertTokenizer"
    if isinstance(tokenizer, SentencePieceTokenizer):
        tokenizer_class = "AlbertTokenizer"
        write_json(folder / "tokenizer.json", fast_tokenizer(tokenizer))
    special = _special_pieces(tokenizer)
    settings: dict[str, Any] = {
        "tokenizer_class": tokenizer_class,
        "do_lower_case": tokenizer.lower_case,
        "model_max_length": config.max_position_embeddings,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **special,
    }
    write_json(folder / "tokenizer_config.json", settings)
    write_json(folder / "special_tokens_map.json", special)


def _special_pieces(tokenizer: Tokenizer) -> dict[str, str]:
    ids = tokenizer.special_ids
    roles = {
        "pad_token": ids.pad,
        "unk_token": ids.unknown,
        "cls_token": ids.cls,
        "sep_token": ids.sep,
        "mask_token": ids.mask,
    }
    pieces = {role: tokenizer.pieces[index] for role, index in roles.items()}
    if isinstance(tokenizer, SentencePieceTokenizer):
        pieces |= {"bos_token": pieces["cls_token"], "eos_token": pieces["sep_token"]}
    return pieces
