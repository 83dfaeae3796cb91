"""Units of PET values: from SUV by lean mass or surface to SUV by body weight."""

from collections.abc import Callable

from medidiff.errors import DataError

Size = Callable[[float, float], float]  # of weight in kg and height in cm


def _morgan_male(w: float, h: float) -> float:
    return 1.10 * w - 120 * (w / h) ** 2


def _morgan_female(w: float, h: float) -> float:
    return 1.07 * w - 148 * (w / h) ** 2


def _james_male(w: float, h: float) -> float:
    return 1.10 * w - 128 * (w / h) ** 2


def _bmi(w: float, h: float) -> float:
    return w / (h / 100) ** 2


def _janmahasatian_male(w: float, h: float) -> float:
    return 9270 * w / (6680 + 216 * _bmi(w, h))


def _janmahasatian_female(w: float, h: float) -> float:
    return 9270 * w / (8780 + 244 * _bmi(w, h))


def _ideal_male(w: float, h: float) -> float:
    return 48.0 + 1.06 * (h - 152)


def _ideal_female(w: float, h: float) -> float:
    return 45.5 + 0.91 * (h - 152)


_MASSES: dict[str, tuple[Size, Size]] = {
    "LBM": (_morgan_male, _morgan_female),
    "LBMJAMES128": (_james_male, _morgan_female),  # the two papers share the female formula
    "LBMJANMA": (_janmahasatian_male, _janmahasatian_female),
    "IBW": (_ideal_male, _ideal_female),
}


def body_mass_kg(suv_type: str, *, weight_kg: float, height_m: float, sex: str) -> float:
    """Lean or ideal mass in kg by the formula that SUVType names.

    suv_type     LBM | LBMJAMES128 | LBMJANMA | IBW
    height_m     m
    sex          M, F, or O for the mean of both

        W in kg, H in cm, BMI = W/(H/100)²            male                        female
        LBM           (Morgan & Bright 1994)          1.10 W - 120 (W/H)²         1.07 W - 148 (W/H)²
        LBMJAMES128   (James 1976)                    1.10 W - 128 (W/H)²         1.07 W - 148 (W/H)²
        LBMJANMA      (Janmahasatian 2005)            9270 W/(6680 + 216 BMI)     9270 W/(8780 + 244 BMI)
        IBW           (Vácha et al. 2026, IBSI manual) 48.0 + 1.06 (H - 152)       45.5 + 0.91 (H - 152)

    Raises DataError where the formula gives no positive mass.
    """
    male, female = (formula(weight_kg, 100 * height_m) for formula in _MASSES[suv_type])
    mass = {"M": male, "F": female, "O": (male + female) / 2}[sex]
    if mass <= 0:
        raise DataError(
            f"PET series: the {suv_type} mass of a patient of {weight_kg:g} kg and {height_m:g} m is {mass:.3g} kg, expected "
            "more than 0. Correct PatientWeight or PatientSize by an override."
        )
    return mass


def body_surface_m2(*, weight_kg: float, height_m: float) -> float:
    """Body surface in m²: 0.007184 · H^0.725 · W^0.425 with H in cm and W in kg (Du Bois & Du Bois 1916)."""
    return 0.007184 * (100 * height_m) ** 0.725 * weight_kg**0.425


def needs_sex(suv_type: str) -> bool:
    """Whether the mass behind this SUVType differs between the sexes."""
    return suv_type in _MASSES


def suv_types() -> tuple[str, ...]:
    """Values of SUVType that go with Units GML."""
    return ("BW", *_MASSES)
