"""JSON and YAML that others wrote: one object each, and no text may cost more than its length."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

MOST_NODES = 100_000  # of YAML, references written out


def json_object(text: str | bytes) -> dict[str, Any]:
    """The object in a JSON text. Raises ValueError for damaged text, any other value, and depth that no document has."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"found {type(found).__name__}, expected an object")
    return found


def with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a JSON object for a frozen dataclass: tuples in place of lists, which JSON alone has."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def yaml_mapping(text: str) -> tuple[dict, yaml.Node | None]:
    """The mapping in a YAML text, and its nodes with their lines; nothing gives an empty one.

    Raises ValueError for damaged text, any other value, tags that name objects, depth that no document has, and references that
    write out to more than `MOST_NODES` or lead back to themselves.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        _nodes(node, {})
        found = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(f"not valid YAML: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"expected keys and values at the top, found {type(found).__name__}")
    return found or {}, node


def _nodes(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many nodes there are once references are written out."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MOST_NODES + 1  # met again before it is counted: it holds itself
    parts = []
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    count = 1 + sum(_nodes(part, known) for part in parts)
    if count > MOST_NODES:
        raise ValueError(f"its references write out to more than {MOST_NODES} values, or to themselves")
    known[id(node)] = count
    return count
