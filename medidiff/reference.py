"""The reference of all configuration keys, written from the settings models."""

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from medidiff.config import Config

HEAD = """# Configuration

Written from the code by `make reference`. A configuration is a YAML file; what it does not name has the default. An unknown key
is an error, and all mistakes are reported at once. `medidiff check FILE` checks one, `medidiff config schema` prints the
JSON Schema.
"""


def markdown() -> str:
    """One table per section, in the order of the models."""
    return "\n".join([HEAD, *_section(Config, "", {})])


def _section(model: type[BaseModel], prefix: str, told: dict[type[BaseModel], str]) -> list[str]:
    """The table of a model and of those inside; `told` says where a model that comes again was described."""
    title = f"`{prefix}`" if prefix else "Top level"
    if model in told:
        return [f"## {title}", "", f"The same keys as `{told[model]}`.", ""]
    told[model] = prefix
    lines = [f"## {title}", "", _first_line(model), "", "| key | default | meaning |", "| --- | --- | --- |"]
    nested: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner:
            place = f"{prefix}.{name}".lstrip(".")
            is_one = inner is field.annotation or type(None) in get_args(field.annotation)
            nested.append((inner, place if is_one else f"{place}.NAME"))
        lines.append(f"| `{name}` | {_default(field, inner)} | {_meaning(field)} |")
    lines.append("")
    for inner, place in nested:
        lines += _section(inner, place, told)
    return lines


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")


def _default(field: FieldInfo, inner: type[BaseModel] | None) -> str:
    if field.default is PydanticUndefined and field.default_factory is None:
        return "required"
    if inner:
        return "see below"
    value: Any = field.get_default(call_default_factory=True)
    return f"`{value!r}`" if value != "" else "empty"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
