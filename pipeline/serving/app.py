"""The web application: endpoints, pages and error handlers."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from importlib import resources
from typing import Any

import fastapi
import pydantic
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from albert_core.inference import LoadedModel
from pipeline.serving.answers import ServedExample, make_answer_function
from pipeline.serving.batching import Batcher, BatcherClosedError, QueueFullError
from pipeline.serving.config import ServingConfig
from pipeline.serving.errors import RequestError, from_unreadable_body, from_validation_error
from pipeline.serving.limits import LimitedApp
from pipeline.serving.metrics import CONTENT_TYPE, MeasuredApp, ServerMetrics
from pipeline.serving.schemas import (
    FailureResponse,
    Health,
    ModelDescription,
    Strict,
    describe_model,
    get_endpoint,
    request_type,
    response_type,
)

_RETRY_AFTER_S = 1
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": FailureResponse} for status in (400, 408, 413, 415, 422, 503)
}


def make_app(model: LoadedModel, config: ServingConfig) -> fastapi.FastAPI:
    """Return the application that answers with a model, which has answered samples then.

    Its batches run from the application's startup on; at its shutdown, all that waits is answered.
    It has the endpoint of the model's kind and the pages of `_add_pages`, none of FastAPI's docs;
    too long bodies are refused, and every request is counted.

    Raises:
        InputError: The model has no vocabulary or no head, or cannot answer a sample.
    """
    metrics = ServerMetrics()
    predictor = model.predictor(
        batch_size=config.max_batch_size, on_batch=metrics.batch_size.observe
    )
    predictor.warm_up()
    batcher: Batcher[ServedExample, Strict | RequestError] = Batcher(
        make_answer_function(predictor),
        max_batch_size=config.max_batch_size,
        max_wait_s=config.max_wait_ms / 1000,
        max_queued=config.max_queued_examples,
    )
    metrics.queued.set_function(lambda: batcher.num_queued)

    @contextlib.asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        """Run batches while the application runs; on its end answer all that waits."""
        batcher.start()
        yield
        await batcher.close()

    app = fastapi.FastAPI(
        title=f"ALBERT: {model.name}",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    _add_prediction(app, model, config, batcher)
    _add_pages(app, describe_model(model, config), batcher, metrics)
    _add_error_handlers(app)
    app.add_middleware(LimitedApp, max_body_bytes=config.max_body_bytes)
    app.add_middleware(MeasuredApp, metrics=metrics, endpoints=_paths(app))
    return app


def _add_prediction(
    app: fastapi.FastAPI,
    model: LoadedModel,
    config: ServingConfig,
    batcher: Batcher[ServedExample, Strict | RequestError],
) -> None:
    """Add the endpoint of the model's kind, which puts the examples of a request into the queue.

    If one example of a request cannot be predicted for, the whole request is refused with its
    error. Status 503 asks to try again where the queue is full, or tells that the server stops.
    """
    of_request, of_response = request_type(model, config), response_type(model)

    async def predict(request: of_request) -> pydantic.BaseModel:  # type: ignore[valid-type]
        """Answer each example."""
        values: dict[str, Any] = request.model_dump()  # type: ignore[attr-defined]
        examples = values.pop("examples")
        try:
            predictions = await batcher.submit([{**example, **values} for example in examples])
        except QueueFullError:
            raise RequestError(
                503,
                "queue",
                f"{batcher.num_queued} examples that wait",
                f"at most {config.max_queued_examples}; try again in {_RETRY_AFTER_S} s",
                {"Retry-After": str(_RETRY_AFTER_S)},
            ) from None
        except BatcherClosedError:
            raise _stopped() from None
        return of_response(predictions=_raise_first_error(predictions))

    app.add_api_route(
        get_endpoint(model),
        predict,
        methods=["POST"],
        response_model=of_response,
        responses=_FAILURES,
    )


def _raise_first_error(
    predictions: Sequence[Strict | RequestError],
) -> Sequence[Strict | RequestError]:
    """Return predictions as they are, or raise the first that is an error.

    Raises:
        RequestError: With the example's place in the request, and without headers.
    """
    for number, prediction in enumerate(predictions):
        if isinstance(prediction, RequestError):
            what = f"examples[{number}].{prediction.what}"
            raise RequestError(prediction.status, what, prediction.got, prediction.expected)
    return predictions


def _add_pages(
    app: fastapi.FastAPI,
    description: ModelDescription,
    batcher: Batcher[ServedExample, Strict | RequestError],
    metrics: ServerMetrics,
) -> None:
    """Add `/` with a form, `/model`, `/healthz` and `/metrics`.

    `/healthz` answers 503 while no batches are run, before startup and after a failure or close.
    """
    page = resources.files("pipeline.serving").joinpath("page.html").read_text(encoding="utf-8")

    @app.get("/", response_class=HTMLResponse)
    async def form() -> HTMLResponse:
        """Return a form to try the model with."""
        return HTMLResponse(page, headers=_PAGE_HEADERS)

    @app.get("/model")
    async def describe() -> ModelDescription:
        """Return what the model is and what may be asked."""
        return description

    @app.get("/healthz", responses={503: {"model": FailureResponse}})
    async def health() -> Health:
        """Return whether requests are answered."""
        if not batcher.is_running:
            raise _stopped()
        return Health(status="ok")

    @app.get("/metrics")
    async def expose() -> Response:
        """Return the metrics for Prometheus."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)


def _add_error_handlers(app: fastapi.FastAPI) -> None:
    """Make every error a JSON response with what was got and expected.

    An unexpected exception is answered with 500, without its text. To be called after all endpoints
    are added, which the error for an unknown path names.
    """
    paths = ", ".join(sorted(_paths(app)))

    @app.exception_handler(RequestError)
    async def refuse(_: fastapi.Request, error: RequestError) -> JSONResponse:
        return JSONResponse(error.body(), error.status, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def refuse_invalid(
        request: fastapi.Request, error: RequestValidationError
    ) -> JSONResponse:
        return await refuse(request, from_validation_error(error.errors()[0]))

    @app.exception_handler(HTTPException)
    async def refuse_http(request: fastapi.Request, error: HTTPException) -> JSONResponse:
        """Answer an unknown path with 404, a wrong method with 405, an unreadable body with 400."""
        headers = error.headers or {}
        if error.status_code == 404:
            failure = RequestError(404, "path", request.url.path, f"one of {paths}")
        elif error.status_code == 405:
            failure = RequestError(405, "method", request.method, headers["Allow"], headers)
        else:
            failure = from_unreadable_body(error.__cause__)
        return await refuse(request, failure)

    @app.exception_handler(Exception)
    async def refuse_unexpected(request: fastapi.Request, _: Exception) -> JSONResponse:
        failure = RequestError(500, "server", "an error of its own", "none; its log says more")
        return await refuse(request, failure)


def _stopped() -> RequestError:
    """Return the error for a server whose batches are run no more."""
    return RequestError(503, "server", "a stopped model", "a running one; start it again")


def _paths(app: fastapi.FastAPI) -> frozenset[str]:
    return frozenset(route.path for route in app.routes if hasattr(route, "path"))
