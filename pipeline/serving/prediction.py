"""The endpoint of the model's kind, and how the examples of a request are answered."""

from collections.abc import Sequence
from typing import Any

import fastapi
import pydantic

from albert_core.inference import LoadedModel
from pipeline.serving.answers import ServedExample
from pipeline.serving.batching import Batcher, BatcherClosedError, QueueFullError
from pipeline.serving.config import ServingConfig
from pipeline.serving.errors import RETRY_AFTER, RETRY_AFTER_S, RequestError
from pipeline.serving.schemas import FailureResponse, Strict, get_endpoint, request_type

ServedBatcher = Batcher[ServedExample, Strict | RequestError]

FAILURE_STATUSES = (400, 408, 413, 415, 422, 503)
"""Statuses of the answers to requests for predictions that are refused."""


def add_prediction(
    app: fastapi.FastAPI,
    model: LoadedModel,
    config: ServingConfig,
    batcher: ServedBatcher,
    response_model: type[pydantic.BaseModel],
) -> None:
    """Add to an app the POST endpoint for the model's kind of task, such as classification.

    It answers each example of a request by way of the queue.

    Args:
        app: The app, which is changed.
        model: The model; its task decides the endpoint's path and what an example is.
        config: The server's settings, among them the limits of a request.
        batcher: The queue.
        response_model: Type of the response, which has the field `predictions`.
    """
    request_model = request_type(model, config)

    async def predict(request: request_model) -> pydantic.BaseModel:  # type: ignore[valid-type]
        """Answer each example."""
        predictions = await answer_request(request, "examples", batcher, config)
        return response_model(predictions=predictions)

    app.add_api_route(
        get_endpoint(model),
        predict,
        methods=["POST"],
        response_model=response_model,
        responses={status: {"model": FailureResponse} for status in FAILURE_STATUSES},
    )


async def answer_request(
    request: pydantic.BaseModel, field: str, batcher: ServedBatcher, config: ServingConfig
) -> Sequence[Strict | RequestError]:
    """Put the examples of a request into the queue and return the prediction for each.

    Args:
        request: The request; its fields beside the examples are given to each of them.
        field: Name of the field with the examples.
        batcher: The queue.
        config: The server's settings, for messages.

    Raises:
        RequestError: An example cannot be predicted for; or, with status 503, the queue is full or
            the server stops.
        Exception: What the model raised for this request.
    """
    values: dict[str, Any] = request.model_dump()
    examples = values.pop(field)
    try:
        predictions = await batcher.submit([{**example, **values} for example in examples])
    except QueueFullError:
        raise RequestError(
            503,
            "queue",
            f"{batcher.num_queued} examples that wait",
            f"at most {config.max_queued_examples}; try again in {RETRY_AFTER_S} s",
            RETRY_AFTER,
        ) from None
    except BatcherClosedError:
        raise stopped() from None
    return _raise_first_error(predictions, field)


def stopped() -> RequestError:
    """Return the error for a server that no longer runs batches."""
    return RequestError(503, "server", "a stopped model", "a running one; start it again")


def _raise_first_error(
    predictions: Sequence[Strict | RequestError], field: str
) -> Sequence[Strict | RequestError]:
    """Return predictions unchanged, or raise the first one that is an error.

    Raises:
        RequestError: A prediction is one; the error raised has the example's place in the request
            and no headers.
    """
    for number, prediction in enumerate(predictions):
        if isinstance(prediction, RequestError):
            what = f"{field}[{number}].{prediction.what}"
            raise RequestError(prediction.status, what, prediction.got, prediction.expected)
    return predictions
