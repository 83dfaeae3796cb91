"""The card of a model of echoes as a page for people."""

from medidiff.dehazing.model import EchoCard
from medidiff.training.markdown import data_set, table, versions

KINDS = {
    "joint": "Priors of tissue and of haze in one network, for the joint samplers (`dehaze`, method `split_gibbs` and others)",
    "regress": "A network that gives the tissue of a mixture in one call (`dehaze`, method `regress`)",
    "conditional": "A diffusion model of the tissue given the mixture (`dehaze`, method `conditional`)",
}


def echo_page(card: EchoCard) -> str:
    """The page in Markdown, the same text for the same card."""
    sections = [
        f"# {card.name}",
        f"{card.title}.",
        f"{KINDS[card.kind]}, trained by `medidiff train configs/priors/{card.name}.yaml`.",
        "This page is written from `card.json`.",
        "## Not for",
        card.not_for,
        "## What it sees",
        table(
            {
                "signals": "complex baseband IQ on a polar grid, companded by the mu-law",
                "mu": f"{card.mu:g}",
                "steps of the grid": f"{1e3 * card.range_step_m:.4g} mm, {1e3 * card.angle_step_rad:.4g} mrad",
                "demodulated at": f"{card.demodulation_hz / 1e6:g} MHz",
                "haze over tissue": "{:g} to {:g} dB".format(*card.htr_db),
                "standard deviation": ", ".join(f"{sd:g}" for sd in card.sd) + " companded units",
                **(
                    {"noise levels": "{:.3g} to {:.3g} companded units".format(*card.trained_range)}
                    if any(card.trained_range)
                    else {}
                ),
                "network": f"2-D U-Net, width {card.network['width']}, {card.network['multipliers']}",
            }
        ),
        "## Data",
        *(data_set(source) for source in card.data),
        *(f"- {part}: {', '.join(names)}." for part, names in card.split.items()),
        "## Training",
        table(
            {
                "steps": card.steps,
                "hours": f"{card.hours:g}, one thread",
                "weights": card.weights,
                **{name: card.training[name] for name in ("batch", "learning_rate", "crop") if name in card.training},
                "versions": versions(card.versions),
            }
        ),
        *([card.history] if card.history else []),
        "## How good it is on echoes that it was not trained on",
        table({"loss on validation echoes": f"{card.validation_loss:.4f}", **card.scores}),
        *_gates(card),
        f"Weights: SHA-256 `{card.weights_sha256}`.",
    ]
    return "\n\n".join(sections) + "\n"


def _gates(card: EchoCard) -> list[str]:
    """Errors over those of the best linear denoiser."""
    if not card.gate:
        return []
    levels = list(next(iter(card.gate.values())))
    rows = [f"| {name} | " + " | ".join(f"{ratios[level]:.3f}" for level in levels) + " |" for name, ratios in card.gate.items()]
    head = ["| noise level | " + " | ".join(levels) + " |", "| --- |" + " --- |" * len(levels)]
    return ["Squared error over that of the best linear denoiser; above 1 nothing is sampled:", "\n".join([*head, *rows])]
