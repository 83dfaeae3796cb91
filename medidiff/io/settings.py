"""How studies are read; no heavy imports, the Snakefile reads this."""

from typing import Literal

from pydantic import Field

from medidiff.settings import Settings

RESULT_VERSION = 1


class SuvOverrides(Settings):
    """Values of a study that its PET header lacks or has wrong, stated by the user and recorded as such."""

    weight_kg: float | None = Field(None, gt=0, le=1000, description="body weight, kg")
    height_m: float | None = Field(None, gt=0, le=3, description="height, m")
    dose_bq: float | None = Field(None, gt=0, description="injected activity, Bq")
    half_life_s: float | None = Field(None, gt=0, description="half-life of the nuclide, s")
    delay_s: float | None = Field(None, ge=0, description="time from injection to the moment of decay correction, s")


class ConvertSettings(Settings):
    """From DICOM or NIfTI to volumes in HU and SUV."""

    suv_reference: Literal["auto", "ge", "series", "backcompute", "acquisition"] = Field(
        "auto", description="moment to which the PET series is decay-corrected; auto follows the priority of the QIBA pseudo-code"
    )
    suv_overrides: dict[str, SuvOverrides] = Field({}, description="by study: values that its PET header lacks or has wrong")
    pet_unit: Literal["", "suv"] = Field("", description="suv: a PET in NIfTI is SUV by body weight, whatever its name says")
    allow_tilt: bool = Field(
        False, description="resample series of a tilted gantry to a right-angled grid instead of refusing them"
    )
    roi: str = Field("", description="structure taken as reference; `GTV*` unites all that match; empty: the only one there is")

    def overrides_of(self, study: str) -> dict[str, float]:
        """The stated values of one study."""
        stated = self.suv_overrides.get(study)
        return stated.model_dump(exclude_none=True) if stated else {}
