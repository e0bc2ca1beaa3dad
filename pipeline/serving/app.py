"""The web application: endpoints, pages and error handlers."""

import contextlib
from collections.abc import AsyncIterator
from importlib import resources

import fastapi
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from albert_core.inference import LoadedModel
from pipeline.serving.answers import make_answer_function
from pipeline.serving.batching import Batcher
from pipeline.serving.config import ServingConfig
from pipeline.serving.errors import RequestError, from_unreadable_body, from_validation_error
from pipeline.serving.instances import add_instances
from pipeline.serving.limits import LimitedApp
from pipeline.serving.metrics import CONTENT_TYPE, MeasuredApp, ServerMetrics
from pipeline.serving.prediction import ServedBatcher, add_prediction, stopped
from pipeline.serving.schemas import (
    FailureResponse,
    Health,
    ModelDescription,
    describe_model,
    response_type,
)

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def make_app(
    model: LoadedModel, config: ServingConfig, metrics: ServerMetrics | None = None
) -> fastapi.FastAPI:
    """Run a model on samples, to warm it up, and return the web application that answers with it.

    Its batches run from the application's startup on; at its shutdown, all that waits is answered.
    It has the endpoint of the model's kind, those of the `instances` protocol and the pages of
    `_add_pages`, none of FastAPI's docs; too long bodies are refused, and every request is counted.

    Args:
        model: The model.
        config: The settings; those of connections are the server's.
        metrics: What counts; new ones if not given.

    Raises:
        InputError: The model has no vocabulary or no head, or cannot answer a sample.
    """
    metrics = metrics or ServerMetrics()
    predictor = model.predictor(
        batch_size=config.max_batch_size, on_batch=metrics.batch_size.observe
    )
    predictor.warm_up()
    batcher: ServedBatcher = Batcher(
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
    response_model = response_type(model)
    add_prediction(app, model, config, batcher, response_model)
    add_instances(app, model, config, batcher, response_model)
    _add_pages(app, describe_model(model, config), batcher, metrics)
    _answer_head(app)
    _add_error_handlers(app)
    _add_middleware(app, config, metrics)
    return app


def _add_pages(
    app: fastapi.FastAPI,
    description: ModelDescription,
    batcher: ServedBatcher,
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
            raise stopped()
        return Health(status="ok")

    @app.get("/metrics")
    async def expose() -> Response:
        """Return the metrics for Prometheus."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)


def _answer_head(app: fastapi.FastAPI) -> None:
    """Let all pages answer HEAD as GET; the HTTP server leaves out what follows their headers.

    To be called after all endpoints are added.
    """
    app.openapi()  # makes the schema, which is kept; HEAD in it would be the operations twice
    for route in app.routes:
        if isinstance(route, APIRoute) and route.methods and "GET" in route.methods:
            route.methods.add("HEAD")


def _add_middleware(app: fastapi.FastAPI, config: ServingConfig, metrics: ServerMetrics) -> None:
    """Wrap an application: bodies are limited, origins allowed around that, and all is counted.

    To be called after all endpoints are added, whose paths are counted by name.
    """
    app.add_middleware(
        LimitedApp, max_body_bytes=config.max_body_bytes, timeout_s=config.body_timeout_s
    )
    if config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.cors_origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("Content-Type", "Content-Encoding"),
            expose_headers=("Retry-After",),
        )
    app.add_middleware(MeasuredApp, metrics=metrics, endpoints=_paths(app))


def _add_error_handlers(app: fastapi.FastAPI) -> None:
    """Make every error a JSON response with what was got and expected.

    An unexpected exception is answered with 500, without its text. To be called after all endpoints
    are added, which the error for an unknown path names.
    """
    paths = ", ".join(sorted(_paths(app)))

    @app.exception_handler(RequestError)
    async def refuse(request: fastapi.Request, error: RequestError) -> JSONResponse:
        return JSONResponse(error.body(request.url.path), error.status, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def refuse_invalid(
        request: fastapi.Request, error: RequestValidationError
    ) -> JSONResponse:
        return await refuse(request, from_validation_error(error.errors()[0]))

    @app.exception_handler(HTTPException)
    async def refuse_http(request: fastapi.Request, error: HTTPException) -> JSONResponse:
        """Answer an unknown path with 404, a wrong method with 405, an unreadable body with 400."""
        if error.status_code == 404:
            failure = RequestError(404, "path", request.url.path, f"one of {paths}")
        elif error.status_code == 405:
            allowed = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
            failure = RequestError(405, "method", request.method, allowed, {"Allow": allowed})
        else:
            failure = from_unreadable_body(error.__cause__)
        return await refuse(request, failure)

    @app.exception_handler(Exception)
    async def refuse_unexpected(request: fastapi.Request, _: Exception) -> JSONResponse:
        failure = RequestError(500, "server", "an error of its own", "none; its log says more")
        return await refuse(request, failure)


def _paths(app: fastapi.FastAPI) -> frozenset[str]:
    return frozenset(route.path for route in app.routes if hasattr(route, "path"))
