"""The card of an operator as a page for people."""

from medidiff.operators.model import OperatorCard
from medidiff.training.markdown import table, versions

FORMS = {
    "direct": "one diffusion model of all wavelet coefficients",
    "regression": "one call of one network, without a spread",
    "residual": "a regression, and a diffusion model of what it leaves, which gives an ensemble",
}


def operator_page(card: OperatorCard) -> str:
    """The page in Markdown, the same text for the same card."""
    layout = card.encoding["layout"]
    sections = [
        f"# {card.name}",
        f"{card.title}.",
        f"Form `{card.form}`: {FORMS[card.form]}. This page is written from `card.json`.",
        "## Not for",
        card.not_for,
        "## What it sees",
        table(
            {
                "system": card.system,
                "fields": ", ".join(layout["fields"]),
                "forces": ", ".join(card.encoding["forces"]) or "none",
                "parameters": ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in card.parameters.items()) or "none",
                "frames": f"{card.frames}, {card.dt_s:g} s apart",
                "cells": f"{' x '.join(map(str, card.cells))} over {card.length:g} m",
                "ends": card.boundary,
                "channels": _channels(layout),
                "networks": ", ".join(f"{part} (width {shape['width']})" for part, shape in card.networks.items()),
            }
        ),
        "## Data",
        table(card.data),
        "## Training",
        table(
            {
                **{
                    f"{stage['part']}": f"{stage['steps']} steps of {stage['batch']}, {card.hours[stage['part']]:g} hours, "
                    f"weights {card.weights[stage['part']]}"
                    for stage in card.training["stages"]
                },
                "versions": versions(card.versions),
            }
        ),
        *([card.history] if card.history else []),
        "## Scores on trajectories it was not trained on",
        table({name: _number(value) for name, value in card.scores.items()}),
        f"Weights: SHA-256 `{card.weights_sha256}`.",
    ]
    return "\n\n".join(sections) + "\n"


def _channels(layout: dict) -> str:
    if not layout["levels"]:
        return "the fields themselves, no wavelets"
    return f"{layout['family']}, {layout['mode']}, {layout['levels']} level(s) over {', '.join(layout['axes'])}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
