"""Settings of simulated scans: of what, on which grid, and how it is measured."""

from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from medidiff.phantoms.chest_settings import ChestPhantom
from medidiff.settings import Settings

RESULT_VERSION = 1  # raise when the same scan gives other measurements

Format = Literal["auto", "measurement", "array", "lodopab", "ct-pd", "fastmri", "ismrmrd"]

INSIDE = "inside"  # the truth of raw data that hold their reference

GENERATED = ("chest", "mni152")  # sources that need no file of the user


class CtAcquisition(Settings):
    """How a CT measures each slice."""

    beam: Literal["parallel", "fan"] = Field("parallel", description="parallel rays, or a fan onto a flat detector")
    views: int = Field(20, ge=2, le=10_000, description="along the arc, equally spaced, 2 to 10000")
    arc_deg: float = Field(
        180.0, gt=0, le=360, description="length of the arc, degrees; 180 parallel, 360 fan, less: limited angle"
    )
    start_deg: float = Field(0.0, ge=-360, le=360, description="first view, degrees counter-clockwise from +x")
    bins: int = Field(0, ge=0, le=100_000, description="of the detector; 0: as many as see the whole slice")
    bin_mm: float = Field(0.0, ge=0, le=100, description="distance between bins, mm; 0: one pixel at the axis of rotation")
    source_mm: float = Field(600.0, gt=0, le=1e5, description="of a fan: source to axis of rotation, mm")
    detector_mm: float = Field(1000.0, gt=0, le=1e5, description="of a fan: source to detector, mm")
    photons: float = Field(0.0, ge=0, le=1e12, description="that reach a bin without an object; 0: no noise")
    electronic_std: float = Field(0.0, ge=0, le=1e6, description="electronic noise, photons")
    water_per_mm: float = Field(0.0192, gt=0.005, lt=0.1, description="attenuation of water, 1/mm; 0.0192 at 70 keV")


class MrAcquisition(Settings):
    """How an MR scanner measures each slice."""

    coils: int = Field(8, ge=1, le=64, description="receivers around the slice, 1 to 64")
    mask: Literal["uniform", "equispaced", "random", "gaussian", "gaussian2d", "poisson"] = Field(
        "uniform",
        description="which lines, or samples of both phase axes: uniform, equispaced, random, gaussian; gaussian2d, poisson",
    )
    acceleration: float = Field(4.0, ge=1, le=64, description="all lines over measured lines, 1 to 64")
    calibration_lines: int = Field(24, ge=0, le=512, description="lines at the centre that are all measured, 0 to 512")
    noise: float = Field(0.0, ge=0, le=1, description="standard deviation over the mean magnitude of the tissue, 0 to 1")


class ScanSettings(Settings):
    """One simulated scan: a source on a grid, measured as CT or as MRI."""

    source: str = Field(
        "chest",
        min_length=1,
        description="chest (digital CT), mni152 (average T1 brain), or a NIfTI file or DICOM folder; with `dataset` a path in it",
    )
    dataset: str = Field("", description="public data set that holds the source; `medidiff data list` shows them")
    series: str = Field("", description="SeriesInstanceUID of a DICOM folder; empty: the only volume in it")
    seed: int = Field(0, ge=0, lt=2**31, description="of the patient, the noise and the mask")
    matrix: int = Field(64, ge=16, le=1024, description="rows and columns of the slices to reconstruct")
    pixel_mm: float = Field(6.0, gt=0.1, le=20, description="their pixels, mm; the object is measured on pixels half as large")
    slices: int = Field(32, ge=1, le=1024, description="around the middle of the object")
    slice_mm: float = Field(6.0, gt=0.1, le=20, description="distance between slices, mm")
    lesions: int = Field(0, ge=0, le=20, description="of the chest: nodules in the lungs")
    ct: CtAcquisition | None = Field(None, description="measured as CT")
    mr: MrAcquisition | None = Field(None, description="measured as MRI")

    @property
    def kind(self) -> Literal["ct", "mr"]:
        """Of the study."""
        return "ct" if self.ct else "mr"

    @property
    def chest(self) -> ChestPhantom:
        """The digital chest on the grid to reconstruct."""
        grid = {"rows": self.matrix, "columns": self.matrix, "pixel_mm": self.pixel_mm}
        return ChestPhantom(seed=self.seed, lesions=self.lesions, slices=self.slices, slice_mm=self.slice_mm, **grid)

    @model_validator(mode="after")
    def _is_one_scan(self) -> Self:
        if (self.ct is None) == (self.mr is None):
            raise ValueError("give exactly one of `ct` and `mr`; `ct: {}` takes every default")
        if self.source in GENERATED and self.dataset:
            raise ValueError(f"source {self.source!r} needs no dataset; leave one of the two out")
        if self.source == "chest":
            try:
                _ = self.chest
            except ValidationError as error:
                found = error.errors()[0]
                raise ValueError(f"{found['loc'][0]} of the chest: {found['msg']}, found {found['input']}") from None
        wrong = {"chest": self.mr, "mni152": self.ct}.get(self.source)
        if wrong is not None:
            raise ValueError(f"source {self.source!r} is measured as {'CT' if self.source == 'chest' else 'MRI'} alone")
        return self


class RawScan(Settings):
    """Raw data of one scan."""

    kind: Literal["ct", "mr"] = Field(description="line integrals or k-space")
    path: str = Field(min_length=1, description="file or folder; with `dataset` a path in it")
    dataset: str = Field("", description="public data set that holds it; `medidiff data list` shows them")
    format: Format = Field(
        "auto", description="auto: .npy and .mat are arrays, a folder is ct-pd, any other file a measurement of ours"
    )
    item: int = Field(0, ge=0, description="of files or folders that hold many (lodopab, ismrmrd): which")
    truth: str = Field(
        "", description="NIfTI volume to compare with, relative to the path; inside: one in the raw data; empty: none"
    )
