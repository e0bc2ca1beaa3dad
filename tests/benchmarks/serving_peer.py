"""The server that a user of Hugging Face would write: a pipeline behind FastAPI.

    python serving_peer.py FOLDER PORT [--batched]

Runs in an environment with PyTorch, transformers and FastAPI, without this project. Texts are
answered one at a time, or, with `--batched`, all that wait in one call of the pipeline.
"""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import fastapi
import pydantic
import transformers
import uvicorn

MAX_BATCH_SIZE, MAX_LENGTH = 32, 384


class Request(pydantic.BaseModel):
    """A text to classify."""

    text: str


def make_app(folder: str, max_batch_size: int) -> fastapi.FastAPI:
    """Return an application that answers with the classifier in a folder."""
    classify: Any = transformers.pipeline("text-classification", model=folder, tokenizer=folder)
    options = {"top_k": None, "truncation": True, "max_length": MAX_LENGTH}
    waiting: asyncio.Queue[tuple[str, asyncio.Future[Any]]] = asyncio.Queue()

    async def answer_all() -> None:
        while True:
            batch = [await waiting.get()]
            while not waiting.empty() and len(batch) < max_batch_size:
                batch.append(waiting.get_nowait())
            texts = [text for text, _ in batch]
            results = await asyncio.to_thread(classify, texts, batch_size=len(texts), **options)
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)

    @contextlib.asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(answer_all())
        yield
        task.cancel()

    app = fastapi.FastAPI(lifespan=lifespan)

    @app.post("/predict")
    async def predict(request: Request) -> list[dict[str, Any]]:
        """Return the labels of a text with their scores."""
        future = asyncio.get_running_loop().create_future()
        await waiting.put((request.text, future))
        return await future

    return app


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("port", type=int)
    parser.add_argument("--batched", action="store_true")
    arguments = parser.parse_args()
    app = make_app(arguments.folder, MAX_BATCH_SIZE if arguments.batched else 1)
    uvicorn.run(app, port=arguments.port, log_level="error")


if __name__ == "__main__":
    main()
