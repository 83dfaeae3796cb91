"""How studies are read; no heavy imports, the Snakefile reads this."""

from typing import Literal

from pydantic import Field

from medidiff.settings import Settings

RESULT_VERSION = 1


class ConvertSettings(Settings):
    """From DICOM or NIfTI to volumes in HU and SUV."""

    suv_reference: Literal["auto", "ge", "series", "backcompute", "acquisition"] = Field(
        "auto", description="moment to which the PET series is decay-corrected; auto follows the priority of the QIBA pseudo-code"
    )
    roi: str = Field("", description="name of the structure taken as reference; empty: the only one there is")
