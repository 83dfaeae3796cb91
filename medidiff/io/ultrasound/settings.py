"""What a user says of an ultrasound recording: where it lies, what its file does not tell, and two regions to measure in."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medidiff.settings import Settings

PACKAGED = {"pydicom-echocardiogram": ("pydicom", "data/test_files/examples_ybr_color.dcm")}  # name: package, file in it

Box = tuple[int, int, int, int]


class RecordingFacts(Settings):
    """What a file does not tell, or tells wrongly."""

    pixel_mm: float = Field(0.0, ge=0, le=100, description="edge of a pixel of a picture, mm; 0: what the file says")
    line_mm: float = Field(0.0, ge=0, le=100, description="distance between parallel beams, mm; 0: what the file says")
    frame_rate_hz: float = Field(0.0, ge=0, le=1e5, description="frames per second; 0: what the file says")
    sound_speed: float = Field(0.0, ge=0, le=1e4, description="of UFF, which has none, m/s; 0: from the sampling frequency")
    clip: bool = Field(False, description="of NAME-frame-1.mha: whether all NAME-frame-K.mha beside it are frames of one clip")
    tissue: Box | None = Field(None, description="samples or pixels in tissue: rows from, to, columns from, to; ends excluded")
    chamber: Box | None = Field(None, description="samples or pixels in blood, in the same way")

    @model_validator(mode="after")
    def _boxes_hold_something(self) -> Self:
        for name in ("tissue", "chamber"):
            box = getattr(self, name)
            if box is not None and not (0 <= box[0] < box[1] and 0 <= box[2] < box[3]):
                raise ValueError(f"{name}: found {list(box)}, expected rows from, to, columns from, to, each from below to")
        if (self.tissue is None) != (self.chamber is None):
            raise ValueError("give both of `tissue` and `chamber`, or none: contrast needs two regions")
        return self


class RecordingSource(RecordingFacts):
    """One ultrasound recording."""

    path: str = Field(
        min_length=1,
        description="file; with `dataset` a path in it; pydicom-echocardiogram: the clip that comes with pydicom",
    )
    dataset: str = Field("", description="public data set that holds it; `medidiff data list` shows them")
    domain: Literal["auto", "signal", "image"] = Field(
        "auto", description="RF or IQ, or grey levels; auto: .dcm and .mha are grey levels, the rest is a signal"
    )
