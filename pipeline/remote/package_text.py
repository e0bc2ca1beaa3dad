"""The text of a compiled pipeline, read back before it is given out.

kfp's own compiler puts a comment on top that lists the inputs in an order which changes from one
process to the next, and the values as they are: a line break in one of them would end the comment.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from google.protobuf import json_format
from kfp import components
from kfp.compiler import pipeline_spec_builder

from albert_core.errors import InputError
from pipeline.remote.package import parse_package, with_target

# Text that PyYAML writes and reads as text, but that the platforms' parsers take for a number: a
# hash of digits with an "e" among them, for example.
_NUMBER_ELSEWHERE = re.compile(
    r"[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|0o[0-7_]+|0[xX][0-9a-fA-F_]+"
)


class _PackageDumper(yaml.Dumper):
    """PyYAML's dumper, which quotes text that looks like a number to other parsers, too."""


def _represent_text(dumper: yaml.Dumper, text: str) -> yaml.Node:
    """Return a text as YAML, quoted if other readers of YAML would take it for a number."""
    style = "'" if _NUMBER_ELSEWHERE.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_PackageDumper.add_representer(str, _represent_text)


def package_text(pipeline: Any, parameters: Mapping[str, Any], *, target: str) -> str:
    """Return the YAML of a pipeline whose parameters have values; the same input, the same bytes.

    Args:
        pipeline: The pipeline, as kfp built it.
        parameters: The values of its parameters, which become their defaults.
        target: Title of the platform that it is for; it is in the pipeline's description.

    Raises:
        InputError: The text, read back by YAML and by kfp, is not that pipeline with those values:
            a value is not text in Unicode, or a number that kfp's parameters cannot hold.
    """
    try:
        spec = pipeline_spec_builder.modify_pipeline_spec_with_override(
            pipeline.pipeline_spec, pipeline_name=None, pipeline_parameters=parameters
        )
        info = spec.pipeline_info
        info.description = with_target(info.description, target)
        documents = [json_format.MessageToDict(spec)]
        if pipeline.platform_spec.platforms:
            documents.append(json_format.MessageToDict(pipeline.platform_spec))
    except (ValueError, json_format.Error) as error:  # UnicodeError is a ValueError
        raise InputError(
            f"parameters: got a value that a pipeline cannot hold ({error}), expected text in "
            "Unicode and finite numbers"
        ) from error
    text = yaml.dump_all(documents, Dumper=_PackageDumper, sort_keys=True)
    _refuse_other_content(text, documents, parameters)
    return text


def _refuse_other_content(
    text: str, documents: list[dict[str, Any]], parameters: Mapping[str, Any]
) -> None:
    """Refuse text that does not read back as the documents, with the values of the parameters.

    Raises:
        InputError: The text reads back as something else; the message names a parameter that
            differs.
    """
    package = parse_package(text, source="the compiled pipeline")
    values = package.parameters()
    for name, value in parameters.items():
        if values[name] != value:
            raise InputError(
                f"parameter {name}: reads back from the compiled pipeline as {values[name]!r}, "
                f"expected {value!r}; whole numbers above 2**53 lose digits there"
            )
    if [package.spec, *filter(None, [package.platform])] != documents:
        raise InputError("the compiled pipeline: reads back as another one")
    loaded = components.load_component_from_text(text)
    if json_format.MessageToDict(loaded.pipeline_spec) != documents[0]:
        raise InputError("the compiled pipeline: kfp reads it back as another one")
