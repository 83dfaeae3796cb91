"""The page of all metrics, from the docstrings of `medidiff/metrics`: equation, unit and source stand there."""

from tools.manual.sources import Function, modules

HEAD = """# Metrics

Written from the code by `make reference`. All metrics take arrays and return numbers; NaN says that a number does not exist for
this case, and such cases are counted, never averaged away.
"""


def markdown() -> str:
    """One section per module, one entry per function."""
    lines = [HEAD]
    for module in modules("medidiff/metrics"):
        if module.functions:
            lines += [f"## `{module.name}`", "", module.first, ""]
            for function in module.functions:
                lines += _entry(function)
    return "\n".join(lines)


def _entry(function: Function) -> list[str]:
    lines = [f"`{function.name}({function.signature})`", "", function.first, ""]
    if function.rest:
        lines += ["```text", *function.rest.rstrip().split("\n"), "```", ""]
    return lines
