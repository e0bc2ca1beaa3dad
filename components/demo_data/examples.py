"""Small examples of every format that tasks and corpora are read from, made of the demo's text.

The task is that of `docs-package`, with few rows. Its declarations leave out files that readers
find by their names.
"""

import csv
import html
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from components.demo_data.docstrings import DocstringProse

_NUM_TRAIN_ROWS, _NUM_DEV_ROWS = 200, 50
_NUM_DOCUMENTS = 100
_COLUMNS = ("sentence", "label")
_NUM_SHARDS = 2
_HUB_README = """# Docs
A data set as Hugging Face's hub has it: the names of the labels are in the metadata of the files.
"""

Rows = Sequence[tuple[str, str]]


def write_examples(
    folder: Path,
    documents: Sequence[DocstringProse],
    train: Rows,
    dev: Rows,
    labels: Sequence[str],
) -> None:
    """Write `tasks/` and `corpus/`, a folder for each format; files there are replaced.

    Args:
        folder: Receives the files; made if missing.
        documents: Documents of the corpus, of which the first 100 are taken.
        train: Training rows, passage and label, two at least; the first 200 are taken.
        dev: Dev rows, passage and label, one at least; the first 50 are taken.
        labels: The labels of all rows, in the order of their numbers.

    Raises:
        ValueError: There are too few rows, or the label of a row is not in `labels`; files of other
            formats are written by then.
    """
    train, dev = train[:_NUM_TRAIN_ROWS], dev[:_NUM_DEV_ROWS]
    for name, write in _TASKS.items():
        task = folder / "tasks" / name
        task.mkdir(parents=True, exist_ok=True)
        write(task, train, dev, labels)
        declaration = {
            "name": name,
            "texts": ["sentence"],
            "labels": list(labels),
            "metrics": ["accuracy"],
        }
        text = yaml.safe_dump(declaration, sort_keys=False, default_flow_style=None, width=100)
        (task / "task.yaml").write_text(text, encoding="utf-8")
    for name, write_corpus in _CORPORA.items():
        corpus = folder / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        write_corpus(corpus, documents[:_NUM_DOCUMENTS])


def _write_csv(folder: Path, train: Rows, dev: Rows, labels: Sequence[str]) -> None:
    """Write only train.csv; readers split a dev set off from it.

    Its header is `sentence,label`; labels are written by name. `dev` and `labels` are not used.
    """
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([_COLUMNS, *train])


def _write_jsonl(folder: Path, train: Rows, dev: Rows, labels: Sequence[str]) -> None:
    """Write train.jsonl and dev.jsonl, keys `sentence` and `label`, labels by name.

    `labels` is not used.
    """
    for split, rows in (("train", train), ("dev", dev)):
        lines = (json.dumps(dict(zip(_COLUMNS, row, strict=True))) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")


def _write_parquet(folder: Path, train: Rows, dev: Rows, labels: Sequence[str]) -> None:
    """Write train.parquet and validation.parquet, columns `sentence` and `label`.

    Labels are written by name, as they are in the rows; `labels` is not used. Neither `train` nor
    `dev` may be empty.
    """
    import pyarrow.parquet

    for split, rows in (("train", train), ("validation", dev)):
        texts, names = zip(*rows, strict=True)
        table = pyarrow.table({"sentence": texts, "label": names})
        pyarrow.parquet.write_table(table, folder / f"{split}.parquet")


def _write_hub(folder: Path, train: Rows, dev: Rows, labels: Sequence[str]) -> None:
    """Write `README.md` and in `data/` two shards of `train` and one of `dev`, called validation.

    Rows go to the shards in turn; `train` must have two at least, `dev` one. The column `label` has
    the number of a row's label in `labels`, whose names are in the metadata of the files as the
    hub's library writes them.

    Raises:
        ValueError: There are too few rows, or the label of a row is not in `labels`.
    """
    import pyarrow.parquet

    features = {
        "sentence": {"dtype": "string", "_type": "Value"},
        "label": {"names": list(labels), "_type": "ClassLabel"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    (folder / "README.md").write_text(_HUB_README, encoding="utf-8")
    (folder / "data").mkdir(exist_ok=True)
    for split, rows, count in (("train", train, _NUM_SHARDS), ("validation", dev, 1)):
        for shard in range(count):
            texts, names = zip(*rows[shard::count], strict=True)
            numbers = [labels.index(name) for name in names]
            table = pyarrow.table({"sentence": texts, "label": numbers})
            path = folder / "data" / f"{split}-{shard:05d}-of-{count:05d}.parquet"
            pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)


_TASKS: Mapping[str, Callable[[Path, Rows, Rows, Sequence[str]], None]] = {
    "docs-csv": _write_csv,
    "docs-jsonl": _write_jsonl,
    "docs-parquet": _write_parquet,
    "docs-hub": _write_hub,
}


def _text(document: DocstringProse) -> str:
    return " ".join(sentence.text for sentence in document.sentences)


def _write_json_corpus(folder: Path, documents: Sequence[DocstringProse]) -> None:
    lines = (json.dumps({"text": _text(document)}) + "\n" for document in documents)
    (folder / "part.jsonl").write_text("".join(lines), encoding="utf-8")


def _write_parquet_corpus(folder: Path, documents: Sequence[DocstringProse]) -> None:
    import pyarrow.parquet

    table = pyarrow.table({"text": [_text(document) for document in documents]})
    pyarrow.parquet.write_table(table, folder / "part.parquet")


def _write_articles(folder: Path, documents: Sequence[DocstringProse]) -> None:
    """Write documents to `wiki_00` as WikiExtractor does articles, ids from 0, paths as titles."""
    articles = (
        f'<doc id="{number}" url="" title="{html.escape(document.path)}">\n'
        f"{document.path}\n\n{_text(document)}\n</doc>\n"
        for number, document in enumerate(documents)
    )
    (folder / "wiki_00").write_text("".join(articles), encoding="utf-8")


_CORPORA: Mapping[str, Callable[[Path, Sequence[DocstringProse]], None]] = {
    "jsonl": _write_json_corpus,
    "parquet": _write_parquet_corpus,
    "wikiextractor": _write_articles,
}
