"""A model with everything it needs to predict for texts.

Shape suffixes: M examples, H hidden.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.prediction import DEFAULT_BATCH_SIZE
from albert_core.inference.examples import list_examples
from albert_core.inference.masks import DEFAULT_TOP_K, MaskPredictor
from albert_core.inference.predictions import FilledText, InvalidExample, Prediction
from albert_core.inference.predictor import Predictor
from albert_core.inference.questions import AnswerPredictor
from albert_core.inference.sentence_vectors import Pooling, encode_texts
from albert_core.inference.signature import TaskSignature
from albert_core.inference.tags import TagPredictor
from albert_core.inference.texts import TextPredictor
from albert_core.model_function import ModelFunction
from albert_core.pooling import POOLINGS
from albert_core.pretraining.objectives import GENERATOR_FOLDER
from albert_core.settings.checks import check_minimum
from albert_core.storage import local_path
from albert_core.tasks import Task
from albert_core.tokenization import Tokenizer
from albert_core.training.compute import ComputeSettings

if TYPE_CHECKING:
    from albert_core.checkpoints import Checkpoint
    from albert_core.finetuning.task_preprocessor import TaskPreprocessor


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model of any format, ready to predict; `albert_core.load` makes it.

    Attributes:
        name: Name of its task, or of its folder.
        format: What it was read from, such as `keras` or `onnx`.
        config: Its architecture.
        heads: Its heads by the names in `albert_core.checkpoints.names.HEADS`; for an export in
            whose folder no file tells them, the heads of a pretrained model.
        tokenizer: Its vocabulary; None if none lies beside it.
        task: The task it was fine-tuned on; None if its folder declares none.
        settings: Its settings of fine-tuning, among them how texts become inputs; the defaults if
            its folder has none.
        signature: What it is asked and what it answers.
        null_threshold: Null odds from which on a question has no answer, where that may be; 0 where
            no file tells it.
        run: The model itself, from arrays to arrays.
        read_source: Reads the checkpoint that it was loaded from once more; None for exports that
            hold a graph and no checkpoint.
        open_encoder: Opens a function from the encoder's inputs to `sequence_output` and
            `pooled_output`; None where the format has none apart: `encode` then reads them from
            `run`.
        length_multiple: Multiple to which lengths of batches are rounded up.
        batch_cost_tokens: Padding that a batch of another length costs as much as, in tokens: texts
            of different lengths are run in several batches where that is less work. None: they
            are not, since new shapes are compiled or an accelerator would be idle.
        notes: Sentences for the user about what was changed or left out on reading.
        compute: How it computes; None for exports, which do as they were written.
        num_data_parallel: Parts that its batches are divided into, one for each copy of the
            weights.
    """

    name: str
    format: str
    config: AlbertConfig
    heads: frozenset[str]
    tokenizer: Tokenizer | None
    task: Task | None
    settings: FinetuningConfig
    signature: TaskSignature
    null_threshold: float
    run: ModelFunction
    read_source: Callable[[], "Checkpoint"] | None = None
    open_encoder: Callable[[], ModelFunction] | None = None
    length_multiple: int
    batch_cost_tokens: int | None = None
    notes: tuple[str, ...] = ()
    compute: ComputeSettings | None = None
    num_data_parallel: int = 1

    @property
    def reads_answer_mask(self) -> bool:
        """Whether `p_mask` is among the inputs: by the head of SQuAD 2.0, not by one for spans."""
        return self.signature.has_unanswerable and "span" not in self.heads

    @property
    def encodes_apart(self) -> bool:
        """Whether the two texts of an example are two sequences."""
        pooling = self.settings.pooling
        return pooling != "auto" and POOLINGS[pooling].encodes_apart

    def predict(
        self, examples: Iterable[Any], *, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> list[Prediction]:
        """Return a prediction for each example, in their order.

        An example is a text, a pair of texts, a text with a list of choices, a text or a list of
        words to tag, or a question with its context: as a string or a tuple, as a mapping with the
        names of `albert serve` (`text`, `text_b`, `choices`, `question`, `context`), or as
        `read_examples`, `read_sentences` and `read_questions` return it. A pretrained model fills
        masks, with 5 tokens for each.

        Args:
            examples: The examples, in a list or whatever else yields them; there may be none.
            batch_size: Examples in a batch.

        Raises:
            InputError: `examples` is a single text, a mapping or a table; an example is not of the
                model's kind, or cannot be predicted for; `batch_size` is less than 1; or the model
                has no vocabulary, or no head. Nothing is returned for the others then.
        """
        predictor = self.predictor(batch_size=batch_size)
        return _require_valid(predictor.predict(list_examples(examples)))

    def fill_mask(
        self,
        texts: Iterable[str],
        *,
        top_k: int = DEFAULT_TOP_K,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> list[FilledText]:
        """Return the likeliest tokens for each [MASK] of each text, in the order of the texts.

        Args:
            texts: Texts with [MASK] in them, at most 16 each, in a list or whatever else yields
                them.
            top_k: Tokens for each mask, 1 or more.
            batch_size: Texts in a batch.

        Raises:
            InputError: The model is fine-tuned or has no head for masked words or no vocabulary;
                `top_k` or `batch_size` is less than 1; `texts` is a single text; or a text has no
                mask, too many of them, or more tokens than the model reads.
        """
        check_minimum("top_k", top_k, 1)
        predictor = self.predictor(batch_size=batch_size)
        if not isinstance(predictor, MaskPredictor):
            raise InputError(
                f"model {self.name}: got one for {self.signature.kind}, expected a pretrained one, "
                "which has a head for masked words"
            )
        predictions = _require_valid(predictor.fill(list_examples(texts, "texts"), top_k=top_k))
        return [prediction for prediction in predictions if isinstance(prediction, FilledText)]

    def encode(
        self,
        texts: Iterable[str | tuple[str, str] | Mapping[str, str]],
        *,
        pooling: Pooling = "mean",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> np.ndarray:
        """Return a vector for each text or pair of texts, float32 [M, H], in their order.

        Texts that are longer than the settings allow lose their ends.

        Args:
            texts: Texts or pairs, also as mappings with `text` and `text_b`, in a list or whatever
                else yields them. An empty second text is left out.
            pooling: `mean` of the last layer over all tokens, [CLS] and [SEP] among them; `cls`:
                the last layer's [CLS]; `pooler`: the original's dense layer with tanh upon it.
            batch_size: Texts in a batch.

        Raises:
            InputError: The model has no vocabulary, no pooler where that is asked for, or its
                format not the outputs: those of fine-tuned models as ONNX, LiteRT or Keras archive
                are the head's alone; `pooling` is none of these; `batch_size` is less than 1; or
                `texts` is a single text, a mapping or a table, or holds something else than texts
                and pairs.
        """
        check_minimum("batch_size", batch_size, 1)
        run = self.open_encoder() if self.open_encoder else self.run
        return encode_texts(self, run, list_examples(texts, "texts"), pooling, batch_size)

    def to_huggingface(self, folder: str | Path) -> tuple[str, ...]:
        """Write the model as a folder of Hugging Face's transformers, and prove it the same.

        Vocabulary and task are written, too. The checkpoint is read once more. The outputs on a
        random batch may differ by at most 1e-6. transformers need not be installed.

        Args:
            folder: Local folder to make, or an empty one.

        Returns:
            Notes about what was changed or left out; mostly none.

        Raises:
            InputError: The folder holds something else than this very conversion; the model was
                loaded from an export that has no checkpoint in it; or transformers cannot express
                it.
            StepFailedError: What was written is not the same model; nothing is left of it.
        """
        from albert_core.checkpoints.conversion import refuse_occupied, write_proven

        destination = local_path(folder, "folder")
        refuse_occupied(destination, to="huggingface")
        if self.read_source is None:
            raise InputError(
                f"{self.name}: got an export ({self.format}), expected the checkpoint it was "
                "exported from"
            )
        checkpoint = self.read_source()
        _, notes = write_proven(checkpoint, destination, to="huggingface")
        return (*checkpoint.notes, *notes)

    def predictor(
        self,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        on_batch: Callable[[int], None] | None = None,
    ) -> Predictor:
        """Return a new predictor for the model's kind; nothing is run yet.

        It answers questions, fills masks, tags words, or predicts labels, scores and choices.

        Args:
            batch_size: Examples in a batch; for question answering, each window over a context
                counts as one.
            on_batch: Called with the number of examples before each batch is run.

        Raises:
            InputError: The model has no vocabulary, or no head, or `batch_size` is less than 1.
        """
        check_minimum("batch_size", batch_size, 1)
        kinds: dict[str, type[Predictor]] = {
            "question_answering": AnswerPredictor,
            "masked_lm": MaskPredictor,
            "token_classification": TagPredictor,
        }
        self.require_tokenizer()
        if self.signature.kind == "encoder":
            raise InputError(
                f"{self.name}: has an encoder alone; expected a head for a task or for masked "
                "words. Of a model pretrained by replaced-token detection, the generator in its "
                f"folder {GENERATOR_FOLDER!r} fills masks; the model itself is to be fine-tuned"
            )
        predictor = kinds.get(self.signature.kind, TextPredictor)
        return predictor(self, batch_size=batch_size, on_batch=on_batch)

    def require_tokenizer(self) -> Tokenizer:
        """Return the vocabulary, or refuse a model without one.

        Raises:
            InputError: The model has no vocabulary.
        """
        if self.tokenizer is None:
            raise InputError(
                f"{self.name}: has no vocabulary; put the one it was trained with beside it"
            )
        return self.tokenizer

    def preprocessor(self) -> "TaskPreprocessor":
        """Return the task with the model's settings and vocabulary, to read and score its data.

        Features are not cached.

        Raises:
            InputError: The model's folder declares no task, or has no vocabulary.
        """
        from albert_core.finetuning.task_preprocessor import make_preprocessor

        if self.task is None:
            raise InputError(
                f"{self.name}: declares no task; expected a model that `albert finetune` wrote"
            )
        return make_preprocessor(
            self.task,
            self.settings,
            self.require_tokenizer(),
            reads_answer_mask=self.reads_answer_mask,
        )


def _require_valid(predictions: Sequence[Prediction | InvalidExample]) -> list[Prediction]:
    """Return predictions in their order, or raise for the first invalid example.

    Raises:
        InputError: One is an `InvalidExample`; the message has its number and what is wrong.
    """
    valid: list[Prediction] = []
    for number, prediction in enumerate(predictions):
        if isinstance(prediction, InvalidExample):
            raise InputError(
                f"examples[{number}].{prediction.what}: got {prediction.got}, expected "
                f"{prediction.expected}"
            )
        valid.append(prediction)
    return valid
