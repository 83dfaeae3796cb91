"""Settings of the digital PET/CT patient: what is drawn, on which grids, and which scanner writes it."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

RESULT_VERSION = 1  # raise when the same settings give other bytes

Difficulty = Literal["easy", "default", "hard"]
VendorName = Literal["siemens", "ge", "philips-cnts", "philips-bqml", "gml"]
DecayChoice = Literal["start", "admin", "none"]

Spacing = tuple[
    Annotated[float, Field(ge=0.2, le=20)], Annotated[float, Field(ge=0.2, le=20)], Annotated[float, Field(ge=0.2, le=20)]
]
Angle = Annotated[float, Field(ge=-45, le=45)]


class PetCtPhantom(BaseModel):
    """A digital neck patient with known tumours; the seed and these settings determine every byte that is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, lt=2**31, description="patient number; another seed is another anatomy")
    difficulty: Difficulty = Field("default", description="contrast of tumours against healthy uptake, noise, unsure nodes")
    primaries: tuple[int, int] = Field((0, 1), description="fewest and most primary tumours (GTVp), each 0 or 1")
    nodes: tuple[int, int] = Field((0, 3), description="fewest and most tumour-bearing nodes (GTVn), each 0 to 3")
    annotators: int = Field(3, ge=1, le=50, description="readers who outline the same patient")
    noise: bool = Field(True, description="CT and PET noise; without it the volumes are the anatomy itself")

    vendor: VendorName = Field("siemens", description="whose PET headers are imitated: units, private tags, clock habits")
    decay: DecayChoice = Field("start", description="reference time of decay correction; siemens, ge and philips-bqml only")
    crosses_midnight: bool = Field(False, description="inject before and scan after midnight")

    ct_matrix: int = Field(192, ge=16, le=1024, description="CT rows and columns, pixels")
    ct_slices: int = Field(48, ge=2, le=1000, description="CT slices")
    ct_spacing_mm: Spacing = Field(
        (0.98, 0.98, 3.0), description="CT pixel width, pixel height and slice distance, mm, 0.2 to 20"
    )
    pet_matrix: int = Field(48, ge=8, le=512, description="PET rows and columns, pixels")
    pet_slices: int = Field(32, ge=2, le=1000, description="PET slices")
    pet_spacing_mm: Spacing = Field((4.07, 4.07, 5.0), description="PET pixel width, height and slice distance, mm, 0.2 to 20")
    tilt_deg: float = Field(0.0, ge=-30, le=30, description="CT gantry tilt: slices lean, the table still moves along z")
    turn_deg: tuple[Angle, Angle, Angle] = Field(
        (0.0, 0.0, 0.0), description="oblique acquisition: both grids turned about x, then y, then z (RAS), degrees, -45 to 45"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, most in (("primaries", 1), ("nodes", 3)):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= most:
                raise ValueError(f"{name} is ({low}, {high}); expected fewest <= most, both within 0 to {most}")
        if self.decay != "start" and self.vendor not in ("siemens", "ge", "philips-bqml"):
            raise ValueError(
                f"decay is {self.decay!r} with vendor {self.vendor!r}, which does not store Bq/ml; "
                "leave decay at 'start' or choose siemens, ge or philips-bqml"
            )
        return self
