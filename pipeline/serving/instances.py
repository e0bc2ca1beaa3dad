"""The `instances` protocol: KServe's version 1, which is TensorFlow Serving's REST in rows.

What differs from this server's endpoints: the model's name is part of the paths, a request has
`instances` in place of `examples`, an instance of a single text may be that text, `signature_name`
may be given, settings may be in `parameters` as Vertex AI sends them, any Content-Type is taken for
JSON, and an error is a text.
"""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

import fastapi
import pydantic
from fastapi.routing import APIRoute
from pydantic import BeforeValidator

from albert_core.inference import LoadedModel
from albert_core.inference.examples import example_fields
from pipeline.serving.config import ServingConfig
from pipeline.serving.errors import INSTANCES_PREFIX
from pipeline.serving.prediction import (
    FAILURE_STATUSES,
    ServedBatcher,
    answer_request,
    stopped,
)
from pipeline.serving.schemas import Strict, example_type, limited_list, request_settings

_SIGNATURE = "serving_default"
_VERSION = "1"


class InstancesFailure(Strict):
    """The body of an answer with an error below `/v1/`: what was wrong, got, expected, as a text.

    A request whose path never arrived is answered with a `FailureResponse`. The refusal of a CORS
    preflight is plain text.
    """

    error: str


class VersionStatus(Strict):
    """Whether a version of the model answers, in the words of TensorFlow Serving."""

    version: str
    state: Literal["AVAILABLE"]
    status: dict[str, str]


class ModelStatus(Strict):
    """Whether the model answers: `ready` for KServe, the rest for TensorFlow Serving."""

    name: str
    ready: bool
    model_version_status: list[VersionStatus]


class ModelList(Strict):
    """The names of the models: always one."""

    models: list[str]


class _AnyContentTypeRoute(APIRoute):
    """A route that takes any body for JSON, as clients of TensorFlow Serving send no type."""

    def get_route_handler(
        self,
    ) -> Callable[[fastapi.Request], Coroutine[Any, Any, fastapi.Response]]:
        handle = super().get_route_handler()

        async def handle_as_json(request: fastapi.Request) -> fastapi.Response:
            headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
            headers.append((b"content-type", b"application/json"))
            scope = {**request.scope, "headers": headers}
            return await handle(fastapi.Request(scope, request.receive))

        return handle_as_json


class _WithParameters(Strict):
    """A request whose settings may be in `parameters` in place of beside it."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_parameters(cls, values: Any) -> Any:
        """Return the request with the settings in `parameters` beside it, too.

        Raises:
            ValueError: One is in both places; says what is expected.
        """
        parameters = values.get("parameters") if isinstance(values, dict) else None
        if not isinstance(parameters, dict):
            return values
        if both := sorted(values.keys() & parameters.keys()):
            raise ValueError(f"{both[0]} in parameters or beside it, not both")
        known = cls.model_fields.keys() - {"instances", "parameters", "signature_name"}
        return {**values, **{name: parameters[name] for name in known & parameters.keys()}}


def add_instances(
    app: fastapi.FastAPI,
    model: LoadedModel,
    config: ServingConfig,
    batcher: ServedBatcher,
    response_model: type[pydantic.BaseModel],
) -> None:
    """Add `/v1/models`, `/v1/models/NAME` and `/v1/models/NAME:predict`.

    The first two name the model and tell its state, with status 503 while no batches are run; the
    last answers each instance of a request by way of the queue.

    Args:
        app: The app, which is changed.
        model: The model.
        config: The server's settings: NAME, if not the model's own, and the limits of a request.
        batcher: The queue.
        response_model: Type of the response, which has the field `predictions`.
    """
    name = config.model_name or name_in_paths(model.name)
    path = f"{INSTANCES_PREFIX}models"
    request_model = instances_type(model, config)

    async def predict_instances(request: request_model) -> pydantic.BaseModel:  # type: ignore[valid-type]
        """Answer each instance."""
        predictions = await answer_request(request, "instances", batcher, config)
        return response_model(predictions=predictions)

    app.router.add_api_route(
        f"{path}/{name}:predict",
        predict_instances,
        methods=["POST"],
        response_model=response_model,
        responses={status: {"model": InstancesFailure} for status in FAILURE_STATUSES},
        route_class_override=_AnyContentTypeRoute,
    )

    @app.get(f"{path}/{name}", responses={503: {"model": InstancesFailure}})
    async def tell_status() -> ModelStatus:
        """Return whether the model answers."""
        if not batcher.is_running:
            raise stopped()
        status = {"error_code": "OK", "error_message": ""}
        version = VersionStatus(version=_VERSION, state="AVAILABLE", status=status)
        return ModelStatus(name=name, ready=True, model_version_status=[version])

    @app.get(path)
    async def list_models() -> ModelList:
        """Return the model's name."""
        return ModelList(models=[name])


def name_in_paths(name: str) -> str:
    """Return a model's name with `-` for what cannot be in a path as it is.

    It is `model` if nothing but dots would remain, which a client takes for another path.
    """
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")
    return cleaned if cleaned.strip(".") else "model"


def instances_type(model: LoadedModel, config: ServingConfig) -> type[pydantic.BaseModel]:
    """Return a new type of requests with `instances`, with the same limits as `examples`."""
    instance: Any = example_type(model, config)
    fields_of_example = example_fields(model.signature)
    if [name for name, what in fields_of_example.items() if what != "optional text"] == ["text"]:
        instance = Annotated[instance, BeforeValidator(_text_as_example)]
    fields: dict[str, Any] = {
        "instances": (limited_list(instance, config), ...),
        # Not in the values of the request: there is nothing to choose.
        "signature_name": (
            Annotated[Literal["", "serving_default"], pydantic.Field(exclude=True)],
            _SIGNATURE,
        ),
        # Not in the values either: what is in it is taken for what stands beside it.
        "parameters": (
            Annotated[
                pydantic.create_model("Parameters", __base__=Strict, **request_settings(model))
                | None,
                pydantic.Field(exclude=True),
            ],
            None,
        ),
        **request_settings(model),
    }
    return pydantic.create_model("InstancesRequest", __base__=_WithParameters, **fields)


def _text_as_example(value: Any) -> Any:
    """Return an instance that is a text as the object with this text; others as they are."""
    return {"text": value} if isinstance(value, str) else value
