"""Settings of the digital chromatogram: five aromatics on the column of a publication, as an instrument would write them."""

from typing import Literal

from pydantic import Field

from medidiff.settings import Settings

RESULT_VERSION = 1  # raise when the same settings give other bytes


class ChromatogramPhantom(Settings):
    """Benzene, toluene, ethylbenzene and the xylenes as Cabrera-Codony et al. (2024) fitted them, with known truth."""

    seed: int = Field(0, ge=0, lt=2**31, description="of the noise")
    noise: float = Field(0.01, ge=0, le=0.5, description="standard deviation over the highest peak's height, 0 to 0.5")
    step_s: float = Field(0.5, gt=0, le=5, description="sampling interval, s")
    until_s: float = Field(720.0, ge=650, le=1e4, description="end of the record, s")
    delay_s: float = Field(0.0, ge=-5, le=20, description="start of the injection on the record's clock, s")
    tailing_s: float = Field(0.0, ge=0, le=20, description="time constant of sample that enters late, s")
    amount: float = Field(1.0, gt=0, le=1e4, description="injected, in units of the paper's 20 ppb (m/p-xylene double)")
    drift: float = Field(0.0, ge=-1, le=1, description="rise of the baseline over the record, in the highest peak's heights")
    format: Literal["andi", "csv"] = Field(
        "andi", description="netCDF of the ANDI/AIA template, or text with units in its header"
    )

    @property
    def file(self) -> str:
        """Name of the instrument's file."""
        return {"andi": "chromatogram.cdf", "csv": "chromatogram.csv"}[self.format]
