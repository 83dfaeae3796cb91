"""Settings of the reconstruction room: which methods, which prior on which window, and how each solver works."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medidiff.settings import Settings

RESULT_VERSION = 2  # raise when a method gives other voxels or numbers for the same input

Method = Literal[
    "fbp",
    "sirt",
    "cgls",
    "tv",
    "nadds",
    "dds",
    "mbir",
    "reddiff",
    "deepinv-dps",
    "deepinv-diffpir",
    "auto",
    "zerofilled",
    "cgsense",
]
NEED_PRIOR = frozenset({"nadds", "dds", "mbir", "reddiff", "deepinv-dps", "deepinv-diffpir"})
ONLY_CT = frozenset({"fbp", "sirt", "cgls", "mbir"})
ONLY_MRI = frozenset({"zerofilled", "cgsense"})

Share = Annotated[float, Field(ge=0, le=1)]


class FbpSettings(Settings):
    """Filtered back-projection."""

    window: Literal["ram-lak", "hann", "cosine"] = Field("hann", description="of the ramp: ram-lak, hann or cosine")
    cutoff: float = Field(1.0, gt=0, le=1, description="share of the frequencies that is kept, above 0 to 1")


class IterativeSettings(Settings):
    """SIRT, CGLS and CG-SENSE: least squares that stop early."""

    sirt_iterations: int = Field(200, ge=1, le=10_000, description="of SIRT, which keeps attenuation above 0, 1 to 10000")
    cgls_iterations: int = Field(12, ge=1, le=1000, description="of CGLS, 1 to 1000")
    cgsense_iterations: int = Field(10, ge=1, le=1000, description="of CG-SENSE, 1 to 1000")
    cgsense_ridge: float = Field(1e-3, ge=0, le=10, description="weight of |x|^2 in CG-SENSE, of |A|^2 = 1, 0 to 10")


class TvSettings(Settings):
    """Total variation over rows, columns and slices, isotropic."""

    weight: float | None = Field(None, gt=0, le=10, description="above 0 to 10; empty: chosen by held-out data")
    weights: tuple[Annotated[float, Field(gt=0, le=10)], ...] = Field(
        (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), min_length=1, description="to choose from; operator of norm 1, window [0, 1]"
    )
    iterations: int | None = Field(
        None, ge=1, le=10_000, description="of ADMM, 1 to 10000; empty: 200 for CT, whose few views converge slowly, 60 for MRI"
    )


class NaddsSettings(Settings):
    """NA-DDS: denoise, one linear solve for the whole volume that knows the noise, put noise back."""

    steps: int = Field(50, ge=2, le=1000, description="network calls per slice, 2 to 1000")
    sigma_max: float = Field(10.0, gt=0, le=1000, description="first noise level, network unit, above 0 to 1000")
    sigma_min: float = Field(0.02, gt=0, le=1, description="last noise level above 0, network unit, above 0 to 1")
    eta: Share | None = Field(
        None, description="share of fresh noise in amplitude, 0 to 1, of the point mode; empty: 0.5, or 0.85 with known noise"
    )
    data_steps: int | None = Field(
        None, ge=1, le=1000, description="conjugate gradients per step; empty: 5, or 10 with known noise"
    )
    z_weight: float = Field(0.0257, ge=0, le=100, description="rho of the coupling of slices, operator of norm 1, 0 to 100")
    z_threshold: float | None = Field(
        None, ge=0, le=1, description="tau on differences of slices, window [0, 1]; empty: 0.004, or 0.024 with known noise"
    )
    anchor: float = Field(1.0, ge=0, le=1000, description="c, scales the noise-given weight of the denoised image")
    mode: Literal["point", "posterior"] = Field(
        "point", description="point: best single image; posterior: samples, exact for Gaussian priors"
    )


class DdsSettings(Settings):
    """DDS as it was released, for comparison: blind to the noise, last slice tied to the first."""

    steps: int = Field(50, ge=2, le=1000, description="network calls per slice, of 1000 levels, 2 to 1000")
    eta: Share = Field(0.85, description="share of fresh noise in amplitude, 0 to 1")
    data_steps: int = Field(5, ge=1, le=1000, description="conjugate gradients per step, 1 to 1000")
    z_weight: float = Field(0.0257, ge=0, le=100, description="rho of the coupling of slices, operator of norm 1, 0 to 100")
    z_threshold: float = Field(0.004, ge=0, le=1, description="tau on differences of slices, window [0, 1], 0 to 1")


class MbirSettings(Settings):
    """DiffusionMBIR as it was released: predictor, corrector and one step towards the data, without an anchor."""

    steps: int = Field(200, ge=2, le=10_000, description="levels, two network calls each, 2 to 10000; the paper takes 2000")
    snr: float = Field(0.16, gt=0, le=1, description="of the Langevin corrector, above 0 to 1")
    data_steps: int = Field(1, ge=1, le=1000, description="conjugate gradients per step, 1 to 1000")
    z_weight: float = Field(0.0257, ge=0, le=100, description="rho of the coupling of slices, operator of norm 1, 0 to 100")
    z_threshold: float = Field(0.004, ge=0, le=1, description="tau on differences of slices, window [0, 1], 0 to 1")


class ReddiffSettings(Settings):
    """RED-diff: one image by stochastic gradients, the prior as a force that the denoiser gives."""

    steps: int = Field(100, ge=2, le=10_000, description="levels, one network call each, 2 to 10000")
    prior_weight: float = Field(0.05, ge=0, le=1e6, description="lambda against the data term; both are sums, 0 to 1e6")
    learning_rate: float = Field(0.1, gt=0, le=10, description="of Adam, network unit; falls to 0 over the last 30 %")
    z_threshold: float = Field(0.004, ge=0, le=1, description="total variation along slices, window [0, 1], 0 to 1")


class DpsSettings(Settings):
    """DPS of the package deepinv, which must be installed: the gradient of the data goes through the network."""

    steps: int = Field(50, ge=2, le=10_000, description="network calls per slice, each about three times as dear, 2 to 10000")
    weight: float = Field(
        3.0, ge=0, le=1e6, description="of the gradient of the data, 0 to 1e6; 3 was best of 1, 3, 10 on one chest"
    )


class DiffpirSettings(Settings):
    """DiffPIR of the package deepinv, which must be installed: slices apart, noise put back towards the measured image."""

    steps: int = Field(50, ge=2, le=1000, description="network calls per slice, 2 to 1000")
    weight: float = Field(7.0, gt=0, le=1e6, description="lambda, of the denoised image against the data, above 0 to 1e6")
    zeta: Share = Field(0.5, description="share of fresh noise in variance, 0 to 1; deepinv takes 0.1, worse on one chest")


class HeldoutSettings(Settings):
    """Measurements that are hidden from the solver and predicted by its result."""

    share: float = Field(0.1, gt=0, le=0.5, description="of the views or lines, at least two, above 0 to 0.5")
    tie: float = Field(0.02, ge=0, le=1, description="relative difference of scores that asks for a second split")


class ReconstructSettings(Settings):
    """What `medidiff reconstruct` does with one set of measurements."""

    methods: tuple[Method, ...] = Field(("tv", "auto"), min_length=1, description="one result for each of these")
    prior: str | None = Field(None, description="folder of a trained prior; diffusion methods need it")
    window_hu: tuple[float, float] = Field((-1000.0, 1000.0), description="HU that 0 and 1 stand for; must be the prior's")
    samples: int = Field(4, ge=1, le=1000, description="independent runs whose mean is the result, 1 to 1000")
    seed: int = Field(0, ge=0, le=2**31, description="of all noise and of the split of measurements")
    slices_at_once: int = Field(16, ge=1, le=4096, description="slices in one network call; bounds the memory, 1 to 4096")
    patch: int = Field(0, ge=0, le=4096, description="edge of the patches that the prior sees, pixels; 0: whole slices")
    fbp: FbpSettings = Field(FbpSettings(), description="filtered back-projection")
    iterative: IterativeSettings = Field(IterativeSettings(), description="SIRT, CGLS, CG-SENSE")
    tv: TvSettings = Field(TvSettings(), description="total variation")
    nadds: NaddsSettings = Field(NaddsSettings(), description="NA-DDS, the default diffusion solver")
    dds: DdsSettings = Field(DdsSettings(), description="DDS as released")
    mbir: MbirSettings = Field(MbirSettings(), description="DiffusionMBIR as released")
    reddiff: ReddiffSettings = Field(ReddiffSettings(), description="RED-diff")
    dps: DpsSettings = Field(DpsSettings(), description="deepinv-dps, a peer to compare with")
    diffpir: DiffpirSettings = Field(DiffpirSettings(), description="deepinv-diffpir, a peer to compare with")
    heldout: HeldoutSettings = Field(HeldoutSettings(), description="choice by held-out measurements")

    @model_validator(mode="after")
    def _methods_can_run(self) -> Self:
        lost = [method for method in self.methods if method in NEED_PRIOR and self.prior is None]
        if lost:
            raise ValueError(f"{', '.join(lost)}: need a prior, found none; name its folder in `prior`, or use tv")
        if self.window_hu[0] >= self.window_hu[1]:
            raise ValueError(f"window_hu {list(self.window_hu)}: the first value is not below the second")
        return self
