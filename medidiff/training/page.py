"""The card of a prior as a page for people: what it is, what it was made of, how good it is, what it is not for."""

from collections.abc import Mapping, Sequence

from medidiff.diffusion.card import Card
from medidiff.training.markdown import data_set, table, versions

ENDS = {"L": "left", "R": "right", "A": "front", "P": "back", "I": "feet", "S": "head"}


def model_page(card: Card) -> str:
    """The page in Markdown, the same text for the same card."""
    low, high = card.trained_range
    sections = [
        f"# {card.name}",
        f"{card.title}.",
        "A denoiser of slices for reconstruction under constraints (`reconstruct.ct.prior` or `reconstruct.mr.prior`), trained "
        f"by `medidiff train configs/priors/{card.name}.yaml`. This page is written from `card.json`.",
        "## Not for",
        f"{card.not_for}",
        "## What it knows",
        table(
            {
                "images": f"{card.channels} channel{'s' if card.channels > 1 else ''}, "
                f"sides a multiple of {card.multiple}, -1 and 1 stand for {card.window[0]:g} and {card.window[1]:g} {card.units}",
                "slices": _way_round(card.axes),
                "noise levels": f"{low:.3g} to {high:.3g} network units",
                "standard deviation of the images": f"{card.sd:g} network units",
                "network": _network(card),
            }
        ),
        "## Data",
        *(data_set(source) for source in card.data),
        *(_split(name, names) for name, names in sorted(card.split.items())),
        "## Training",
        table(
            {
                "steps": f"{card.steps}",
                "batch": f"{card.training.get('batch', '')}",
                "learning rate": f"{card.training.get('learning_rate', '')} to {card.training.get('final_rate', '')}, cosine",
                "arithmetic": f"float32, {card.threads} thread{'s' if card.threads > 1 else ''}",
                "hours": f"{card.hours:g}",
                "weights": card.weights,
                "seed": f"{card.seed}",
                "versions": versions(card.versions),
            }
        ),
        *([card.history] if card.history else []),
        "## How well it denoises images that it was not trained on",
        f"Weighted mean squared error over the noise levels of the training: **{card.validation_loss:.4f}** (1 for a network "
        "that knows nothing). Per noise level, with its squared error over that of the best linear denoiser, which is below 1 "
        "where the network is worth using:",
        _losses(card),
        *_missed_gate(card),
        f"Weights: SHA-256 `{card.weights_sha256}`.",
    ]
    return "\n\n".join(sections) + "\n"


def _way_round(axes: str) -> str:
    """Where the columns and rows of the training images lead."""
    if not axes:
        return "no one way round: none is turned for it"
    columns, rows = (ENDS[letter] for letter in axes)
    return f"columns run to the {columns}, rows to the {rows} of the patient (`{axes}`); those of a study are turned to match"


def _network(card: Card) -> str:
    n = card.network
    widths = ", ".join(str(n["width"] * m) for m in n["multipliers"])
    return f"2-D U-Net, features {widths}, {n['blocks']} block(s) per resolution, space-to-depth {n['stem']}"


def _split(name: str, names: Mapping) -> str:
    words = {"train": "trained on", "validation": "validation loss on", "held_out": "never trained on"}
    parts = [f"{word} {_count(names[part])}{', '.join(names[part])}" for part, word in words.items() if names[part]]
    return f"- {name}: " + "; ".join(parts) + "."


def _count(names: Sequence[str]) -> str:
    return f"{len(names)}: " if len(names) > 1 else ""


def _missed_gate(card: Card) -> list[str]:
    """A sentence where the loss is above what its file of settings aims at."""
    gate = card.training.get("gate")
    if gate is None or card.validation_loss <= gate:
        return []
    return [f"**The loss is above the {gate:g} that its file aims at**: compare with total variation before you believe a gain."]


def _losses(card: Card) -> str:
    bins = zip(card.level_edges[:-1], card.level_edges[1:], card.loss, card.gate, strict=True)
    rows = [f"| {low:g} to {high:g} | {loss:.4f} | {gate:.3f} |" for low, high, loss, gate in bins]
    return "\n".join(["| noise level | loss | over linear |", "| --- | --- | --- |", *rows])
