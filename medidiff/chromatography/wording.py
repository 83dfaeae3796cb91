"""What a chromatogram cannot determine, in plain sentences."""

from collections.abc import Sequence

from torch import Tensor

from medidiff.chromatography.parameters import LOGARITHMIC

QUANTITY = {
    "retention": "retention factor",
    "desorption": "desorption rate",
    "dispersion": "dispersion",
    "hold_up": "hold-up time",
    "injection": "injection time",
    "tailing": "tailing time",
    "mixing": "mixing time",
    "delay": "start of the injection",
    "area": "area",
    "baseline": "baseline",
}
LISTED = 0.03  # of the largest share: what a sentence leaves out below
STEP = 0.01  # relative change that a sentence speaks of


def name_of(label: tuple[str, int | None], analytes: Sequence[str]) -> str:
    """`retention factor of benzene`, or `hold-up time`."""
    quantity, component = label
    if quantity == "baseline":
        return f"baseline coefficient {component}"
    return QUANTITY[quantity] + (f" of {analytes[component]}" if component is not None else "")


def describe_direction(
    direction: Tensor, labels: Sequence[tuple[str, int | None]], *, analytes: Sequence[str], scales: Tensor, visible: float
) -> str:
    """One flat direction as a sentence.

    direction   (q,)   changes of all parameters, those of logarithms relative
    scales      (q,)   what makes each change relative: 1 for logarithms, the hold-up time for times, the areas
    visible            standard deviations of noise by which the curve as a whole moves along `direction`
    """
    relative = direction / scales
    factor = STEP / float(relative[relative.abs().argmax()])
    groups: dict[str, list[int]] = {}
    for i in relative.abs().argsort(descending=True).tolist():
        if labels[i][0] != "baseline" and abs(float(relative[i]) * factor) > LISTED * STEP:
            groups.setdefault(labels[i][0], []).append(i)
    parts = [_change(groups[quantity], labels, analytes, direction * factor) for quantity in groups]
    return (
        f"Not determined: {', '.join(parts)}, all at once, move the whole curve by only "
        f"{visible * abs(factor):.2g} standard deviations of noise."
    )


def _change(members: list[int], labels: Sequence[tuple[str, int | None]], analytes: Sequence[str], change: Tensor) -> str:
    """The changes of one quantity: of its one or two largest members, or of all by their range."""
    quantity = labels[members[0]][0]
    factor, unit = (100, "%") if quantity in (*LOGARITHMIC, "area") else (1, "s")
    values = [float(change[i]) * factor for i in members]
    if len(members) <= 2:
        return ", ".join(f"{name_of(labels[i], analytes)} {value:+.2g} {unit}" for i, value in zip(members, values))
    return f"{QUANTITY[quantity]}s of {len(members)} analytes {min(values):+.2g} to {max(values):+.2g} {unit}"
