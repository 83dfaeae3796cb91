"""The card of a model that segments as a page for people."""

from medidiff.segmentation.model import MaskCard
from medidiff.training.markdown import data_set, table, versions

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
        table(
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
        *(data_set(source) for source in card.data),
        *(f"- {part}, {len(names)}: {', '.join(names)}." for part, names in card.split.items()),
        "## Training",
        table(
            {
                "steps": card.steps,
                "hours": f"{card.hours:g}",
                "weights": card.weights,
                **{
                    name: card.training[name]
                    for name in ("objective", "batch", "learning_rate", "start")
                    if name in card.training
                },
                "versions": versions(card.versions),
            }
        ),
        *([card.history] if card.history else []),
        "## Scores on patients it was not trained on",
        table({name: _number(value) for name, value in card.scores.items()}),
        *_calibration(card),
        f"Weights: SHA-256 `{card.weights_sha256}`.",
    ]
    return "\n\n".join(sections) + "\n"


def _calibration(card: MaskCard) -> list[str]:
    """What the probabilities and volumes promise; nothing where no calibration was fitted."""
    found = card.calibration
    if not found:
        return []
    ratio = found["volume_ratio"]
    promise = f"volume / {ratio:.3g} to volume x {ratio:.3g}, {100 * found['level']:g} % of new patients" if ratio else "none"
    rows = {
        "temperature of the logits": f"{found['temperature']:.3g}",
        "promised interval of volumes": promise,
        "fitted on": ", ".join(found["patients"]),
        "how": found["how"],
    }
    return ["## Calibration", table(rows)]


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
