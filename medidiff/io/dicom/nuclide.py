"""Half-lives of the positron emitters, by the code or the name that a header gives."""

import re

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medidiff.io.dicom.fields import text, value

# seconds; F-18 ICRP Publication 107 (2008); C-11, N-13, Ga-68 as in the manual of the IBSI SUV objects (Vácha et al. 2026);
# the others ICRP Publication 107
HALF_LIVES_S = {
    "C-11": 1223.0,
    "N-13": 598.0,
    "O-15": 122.24,
    "F-18": 6586.2,
    "Cu-64": 45720.0,
    "Ga-68": 4057.7,
    "Rb-82": 76.38,
    "Zr-89": 282276.0,
    "I-124": 360806.4,
}

_ELEMENTS = {
    "carbon": "C",
    "nitrogen": "N",
    "oxygen": "O",
    "fluorine": "F",
    "fluor": "F",
    "copper": "Cu",
    "gallium": "Ga",
    "rubidium": "Rb",
    "zirconium": "Zr",
    "iodine": "I",
}
_OLD_CODES = {"C-105A1": "C-11", "C-107A1": "N-13", "C-B1038": "O-15", "C-111A1": "F-18", "C-131A3": "Ga-68"}
_PET = codes.cid4020
_CODES = _OLD_CODES | {
    _PET._11Carbon.value: "C-11",
    _PET._13Nitrogen.value: "N-13",
    _PET._15Oxygen.value: "O-15",
    _PET._18Fluorine.value: "F-18",
    _PET._64Copper.value: "Cu-64",
    _PET._68Gallium.value: "Ga-68",
    _PET._82Rubidium.value: "Rb-82",
    _PET._89Zirconium.value: "Zr-89",
    _PET._124Iodine.value: "I-124",
}


def nuclide_of(radiopharmaceutical: Dataset) -> str:
    """Name such as "F-18" of the nuclide that RadionuclideCodeSequence gives, or "" where it gives none that is known."""
    for code in value(radiopharmaceutical, "RadionuclideCodeSequence") or []:
        named = _CODES.get(text(code, "CodeValue")) or _from_meaning(text(code, "CodeMeaning"))
        if named:
            return named
    return ""


def _from_meaning(meaning: str) -> str:
    # "^18^Fluorine", "18F", "F-18", "Fluorine 18"
    letters, mass = re.findall(r"[A-Za-z]+", meaning), re.findall(r"\d+", meaning)
    if len(letters) != 1 or len(mass) != 1:
        return ""
    symbol = _ELEMENTS.get(letters[0].lower(), letters[0].capitalize())
    named = f"{symbol}-{mass[0]}"
    return named if named in HALF_LIVES_S else ""
