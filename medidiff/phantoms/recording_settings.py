"""Settings of a generated ultrasound scan of known truth."""

from typing import Literal

from pydantic import Field

from medidiff.settings import Settings

RESULT_VERSION = 1  # raise when the same settings give other samples
FILE = "scan.hdf5"


class EchoPhantom(Settings):
    """A heart seen through haze: tissue, haze and noise are known apart."""

    seed: int = Field(20000, ge=0, lt=2**31, description="of patient, speckle and haze; below 20000 models may have seen it")
    family: Literal["g1", "g2"] = Field("g1", description="g1: what models are trained on; g2: another scanner and other haze")
    htr_db: float | None = Field(None, ge=-60, le=20, description="haze in the ventricle to tissue, dB; none: -22 to -6")
    frames: int = Field(1, ge=1, le=10_000, description="at 40 per second")
    ranges: int = Field(256, ge=64, le=4096, description="complex samples along a beam")
    lines: int = Field(128, ge=32, le=1024, description="beams of the sector")
