"""The ALBERT model and everything its pipeline steps share; knows neither kfp nor Beam."""

from albert_core.config import AlbertConfig
from albert_core.errors import InputError

__all__ = ["AlbertConfig", "InputError"]
