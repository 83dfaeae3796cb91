"""Settings of the image track and of pictures: the scanner's grey map, the sector, and what is shown."""

from typing import Self

from pydantic import Field, model_validator

from medidiff.dehazing.settings import DehazeSettings
from medidiff.settings import Settings


class BmodeSettings(Settings):
    """How grey levels and decibels belong together, and where the sector of a picture lies."""

    range_db: float = Field(60.0, ge=20, le=120, description="decibels from black to white, of pictures in and out, 20 to 120")
    angles: int = Field(160, ge=16, le=1024, description="beams that a picture is resampled to, 16 to 1024")
    phases: int = Field(
        2, ge=1, le=32, description="phases that are tried for pictures, which have none, by methods with a model; 1 to 32"
    )
    cone: tuple[float, float, float, float, float, float] | None = Field(
        None,
        description="sector of pictures: apex row, apex column, left and right angle (degrees from straight down, right "
        "positive), near and far radius, in pixels of the ultrasound region; none: fitted",
    )
    rows: int = Field(240, ge=32, le=2048, description="of the pictures of RF and IQ, 32 to 2048")

    @model_validator(mode="after")
    def _cone_is_a_sector(self) -> Self:
        if self.cone is not None and not (-90 < self.cone[2] < self.cone[3] < 90 and 0 <= self.cone[4] < self.cone[5]):
            raise ValueError("cone: expected -90 < left < right < 90 degrees and 0 <= near < far")
        return self


class DehazeSections(Settings):
    """Dehazing of RF and IQ, and of grey levels, each with methods of its own."""

    signal: DehazeSettings = Field(DehazeSettings(), description="of RF and IQ, in which haze is additive")
    image: DehazeSettings = Field(
        DehazeSettings(methods=("regress",)),
        description="of grey levels, in which it is not: the envelope is recovered first",
    )
    bmode: BmodeSettings = Field(BmodeSettings(), description="pictures")
