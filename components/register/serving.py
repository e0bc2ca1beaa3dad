"""How Vertex AI serves an export: `albert serve` in a container, as its prediction service asks."""

from typing import Any

PORT = 8080
_NAME = "albert"  # of the model in the paths of the `instances` protocol
_MAX_BODY_BYTES = 1_500_000  # Vertex AI passes on no longer ones


def container_spec(image: str) -> dict[str, Any]:
    """Return the JSON of the container of a model: image, command, port and routes.

    Vertex AI replaces AIP_STORAGE_URI by the address of the model's files, a copy in a bucket that
    the container may read. All requests come from its proxy, whose address counts as one client.

    Args:
        image: Image with `albert serve`, what the format needs, and Google's client of buckets.
    """
    options = {
        "--host": "0.0.0.0",
        "--port": str(PORT),
        "--model_name": _NAME,
        "--max_body_bytes": str(_MAX_BODY_BYTES),
        "--max_connections": "512",
        "--max_connections_per_address": "512",
    }
    return {
        "imageUri": image,
        "command": ["albert", "serve", "$(AIP_STORAGE_URI)"],
        "args": [word for option in options.items() for word in option],
        "ports": [{"containerPort": PORT}],
        "predictRoute": f"/v1/models/{_NAME}:predict",
        "healthRoute": "/healthz",
    }
