"""Tokenizers from the files and folders people have."""

from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.settings.json_values import as_bool, read_json_object
from albert_core.storage import local_folder
from albert_core.tokenization.interface import SETTINGS_NAME, Tokenizer
from albert_core.tokenization.kinds import tokenizer_class, vocabulary_patterns
from albert_core.tokenization.sentencepiece import Compat

_HUGGING_FACE_SETTINGS_NAME = "tokenizer_config.json"
# Settings of Hugging Face folders that have one value in ALBERT, the default.
_FIXED_SETTINGS = {"remove_space": True, "tokenize_chinese_chars": True}


def load_tokenizer(
    path: str | Path,
    *,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    compat: Compat | None = None,
) -> Tokenizer:
    """Load a tokenizer from a file or folder.

    Args:
        path: A SentencePiece model, a WordPiece vocabulary (.txt), or a folder that holds one of
            them: one that `Tokenizer.save` wrote, the folder of a release of the original, or one
            of Hugging Face. Local, gs:// or s3://. For a file, settings that lie beside it are not
            read.
        lower_case: Whether text is lower-cased first; wins over the folder's own setting. With
            neither, true: the default of the original's `do_lower_case`.
        strip_accents: Whether accents are dropped (`Tokenizer`); wins over the folder's own
            setting. With neither, true, as in the original.
        compat: Whose rules to follow (`SentencePieceTokenizer`); wins over the folder's own
            setting. With neither, `original`, also for a folder of Hugging Face: the weights of the
            released models were trained with the original's code, whoever packs them.

    Raises:
        InputError: There is no vocabulary at the path, or more than one, or it is damaged, or a
            setting does not fit it.
        ServiceError: The vocabulary is in the cloud, whose storage failed.
    """
    path = local_folder(path)
    file = _find_vocabulary(path) if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"vocabulary {path}: no such file or folder; expected a folder that `albert vocab` "
            "wrote, a SentencePiece model or a vocab.txt"
        )
    settings = _read_settings(path)
    arguments = {"lower_case": lower_case, "strip_accents": strip_accents, "compat": compat}
    settings.update({name: value for name, value in arguments.items() if value is not None})
    settings.setdefault("lower_case", True)
    try:
        return _load(tokenizer_class(file), file.read_bytes(), settings)
    except InputError as error:
        raise InputError(f"vocabulary {file}: {error}") from error


def _load(kind: type[Tokenizer], vocabulary: bytes, settings: dict[str, Any]) -> Tokenizer:
    """Make a tokenizer of a kind by `from_bytes`, after refusing settings it does not have.

    Raises:
        InputError: A setting is not of this kind or is wrong, or the content is damaged or not of
            this kind.
    """
    if unknown := sorted(settings.keys() - set(kind.setting_names)):
        raise InputError(
            f"{unknown[0]}: got {settings[unknown[0]]!r}, expected nothing: {kind.display_name} "
            "vocabularies have no such setting; leave it out"
        )
    return kind.from_bytes(vocabulary, **settings)


def _find_vocabulary(folder: Path) -> Path:
    """Return the one vocabulary file of a folder, of whatever kind; subfolders are not searched.

    Raises:
        InputError: There is none, or there are several.
    """
    patterns = vocabulary_patterns()
    files = sorted(file for pattern in patterns for file in folder.glob(pattern) if file.is_file())
    if len(files) == 1:
        return files[0]
    expected = f"one file named {' or '.join(patterns)}"
    if not files:
        raise InputError(f"vocabulary {folder}: no vocabulary there; expected {expected}")
    names = ", ".join(file.name for file in files)
    raise InputError(f"vocabulary {folder}: got {names}, expected {expected}; give the file's path")


def _read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings saved in a folder, by `Tokenizer.save` or by Hugging Face.

    Settings that `Tokenizer.save` wrote win; from Hugging Face's only case and accents are taken.
    Empty for a file, and for a folder without settings.

    Raises:
        InputError: A settings file is not a JSON object, or Hugging Face's has a value that ALBERT
            tokenizers cannot have.
    """
    path = folder / SETTINGS_NAME
    settings = _read_json(path)
    if not settings:
        return _read_hugging_face_settings(folder / _HUGGING_FACE_SETTINGS_NAME)
    for name in ("lower_case", "strip_accents"):
        if name in settings:
            settings[name] = as_bool(settings[name], f"{path}: {name}")
    return settings


def _read_hugging_face_settings(file: Path) -> dict[str, Any]:
    """Return case and accents as a tokenizer_config.json has them; empty without that file.

    Accents are kept if `keep_accents` is true or `strip_accents` false; null says nothing. What the
    file does not say is left out.

    Raises:
        InputError: It is not a JSON object, or has a value that ALBERT tokenizers cannot have.
    """
    hugging_face = _read_json(file)
    for name, value in _FIXED_SETTINGS.items():
        if hugging_face.get(name, value) != value:
            raise InputError(
                f"{file}: got {name}={hugging_face[name]}, expected {value}: ALBERT's text "
                "normalisation has no other; use a tokenizer without this setting"
            )
    # strip_accents may be null, which is the original's rule.
    given = {
        name: as_bool(hugging_face[name], f"{file}: {name}")
        for name in ("do_lower_case", "keep_accents", "strip_accents")
        if name in hugging_face and (name, hugging_face[name]) != ("strip_accents", None)
    }
    if given.get("strip_accents") and not given.get("do_lower_case", True):
        raise InputError(
            f"{file}: got strip_accents=true with do_lower_case=false, expected false or null: "
            "WordPiece drops accents of lower-cased text only; use a tokenizer without this setting"
        )
    settings = {"lower_case": given["do_lower_case"]} if "do_lower_case" in given else {}
    if given.get("keep_accents") or given.get("strip_accents") is False:
        settings["strip_accents"] = False
    return settings


def _read_json(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file, or an empty one where there is no file.

    Raises:
        InputError: The file holds something else.
    """
    return read_json_object(file) if file.is_file() else {}
