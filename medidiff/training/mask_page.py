"""The card of a model that segments as a page for people."""

from collections.abc import Mapping

from medidiff.segmentation.model import MaskCard

KINDS = {
    "diffusion": "A diffusion model of lesion masks: it draws several masks of a study (`segment`, method `diffusion`)",
    "unet": "A U-Net, the twin without diffusion of a diffusion model (`segment`, method `unet`)",
}


def mask_page(card: MaskCard) -> str:
    """The page in Markdown, the same text for the same card."""
    sections = [
        f"# {card.name}",
        f"{card.title}.",
        f"{KINDS[card.kind]}. This page is written from `card.json`.",
        "## Not for",
        card.not_for,
        "## What it sees",
        _table(
            {
                "channels": ", ".join(card.conditioning["modalities"]),
                "voxels": f"{card.conditioning['spacing_mm']:g} mm, cubic, in patches of {' x '.join(map(str, card.patch))}",
                "CT window": "{:g} to {:g} HU".format(*card.conditioning["ct_window_hu"]),
                "largest SUV": f"{card.conditioning['suv_max']:g}, on a logarithmic scale",
                "lesions": "one in every study; the mask is its largest part" if card.single_lesion else "any number",
                "network": f"{card.network['dims']}-D U-Net, width {card.network['width']}, {card.network['multipliers']}",
            }
        ),
        "## Data",
        *(_source(source) for source in card.data),
        *(f"- {part}, {len(names)}: {', '.join(names)}." for part, names in card.split.items()),
        "## Training",
        _table(
            {
                "steps": card.steps,
                "hours": f"{card.hours:g}",
                "weights": card.weights,
                **{
                    name: card.training[name]
                    for name in ("objective", "batch", "learning_rate", "start")
                    if name in card.training
                },
                "versions": ", ".join(f"{name} {version}" for name, version in sorted(card.versions.items())),
            }
        ),
        *([card.history] if card.history else []),
        "## Scores on patients it was not trained on",
        _table({name: _number(value) for name, value in card.scores.items()}),
        f"Weights: SHA-256 `{card.weights_sha256}`.",
    ]
    return "\n\n".join(sections) + "\n"


def _source(source: Mapping) -> str:
    lines = [f"- **{source['name']}**: {source['title']}. Licence: {source['licence']}."]
    return "\n".join([*lines, *(f"  {citation}." for citation in source["citation"])])


def _table(rows: Mapping[str, object]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
