"""Settings of the dehazing room: which methods, which models, how the signal is scaled, and how each sampler works."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medidiff.settings import Settings

RESULT_VERSION = 1  # raise when a method gives other values for the same input

Method = Literal[
    "identity",
    "black_fill",
    "svd",
    "high_pass",
    "wiener",
    "nlm",
    "regress",
    "conditional",
    "split_gibbs",
    "projection",
    "dps",
    "pigdm",
]
Kind = Literal["joint", "regress", "conditional"]  # of a trained model
NEED_MODEL: dict[str, Kind] = {
    "regress": "regress",
    "conditional": "conditional",
    "split_gibbs": "joint",
    "projection": "joint",
    "dps": "joint",
    "pigdm": "joint",
}

Share = Annotated[float, Field(ge=0, le=1)]


class SignalSettings(Settings):
    """How a frame is scaled and companded before any model sees it."""

    mu: float = Field(255.0, gt=0, le=1e5, description="of the mu-law companding; must be the models'")
    headroom: float = Field(2.0, ge=1, le=100, description="kappa: the 99.5 % quantile of the amplitudes becomes 1/kappa")
    clipped_warning: Share = Field(0.005, description="share of clipped samples above which a warning is given")
    clipped_error: Share = Field(0.05, description="share of clipped samples above which nothing is computed")
    grid_tolerance: float = Field(
        0.25, ge=0, le=10, description="largest relative difference of range and angle steps to those of the model's training"
    )


class SplitGibbsSettings(Settings):
    """Split-Gibbs: re-noise both sources, denoise each by its prior, share the misfit; no weight to tune."""

    levels: int = Field(20, ge=2, le=1000, description="noise levels, 2 to 1000")
    repeats: int = Field(6, ge=1, le=100, description="rounds on each level, two denoised images each, 1 to 100")
    sigma_max: float = Field(1.0, gt=0, le=100, description="first noise level, companded units, above 0 to 100")
    sigma_min: float = Field(0.02, gt=0, le=10, description="last noise level, companded units, above 0 to 10")
    eta: Share = Field(1.0, description="fresh noise along the constraint: 1 samples the posterior, 0 gives a point")
    samples: int = Field(2, ge=1, le=64, description="independent samples whose mean is the result, 1 to 64")


class WarmStartSettings(Settings):
    """Frames after the first start from the one before, at a low noise level."""

    enabled: bool = Field(False, description="whether the split-Gibbs sampler starts from the frame before")
    sigma: float = Field(0.3, gt=0, le=100, description="first noise level of such a frame, companded units")
    levels: int = Field(4, ge=2, le=1000, description="noise levels of such a frame, 2 to 1000")
    repeats: int = Field(2, ge=1, le=100, description="rounds on each level, 1 to 100")
    reset: float = Field(3.0, gt=1, le=1000, description="jump of the frame over its running median at which it starts anew")


class ProjectionSettings(Settings):
    """The projection of Stevens et al. 2024, for comparison: soft consistency of the noisy companded images."""

    steps: int = Field(160, ge=2, le=10_000, description="network calls, both priors at once, 2 to 10000")
    start: float = Field(0.8, gt=0, le=1, description="time of the first level, of sigma(t) with base 25, above 0 to 1")
    tissue_weight: float = Field(0.5, ge=0, le=10, description="lambda, 0 to 10")
    haze_weight: float = Field(0.5, ge=0, le=10, description="kappa, 0 to 10")


class GuidedSettings(Settings):
    """DPS- and PiGDM-like guidance through the network, for comparison."""

    steps: int = Field(60, ge=2, le=10_000, description="network calls with a derivative each, 2 to 10000")
    sigma_max: float = Field(3.0, gt=0, le=100, description="first noise level, companded units")
    sigma_min: float = Field(0.02, gt=0, le=10, description="last noise level, companded units")
    dps_weight: float = Field(1.0, ge=0, le=1e4, description="zeta: step along the gradient of the misfit's norm, 0 to 10000")


class ConditionalSettings(Settings):
    """Conditional diffusion trained on mixtures: nothing to guide."""

    steps: int = Field(4, ge=2, le=1000, description="levels of each sample, one network call each, 2 to 1000")
    samples: int = Field(4, ge=1, le=64, description="independent samples whose mean is the result, 1 to 64")
    sigma_max: float = Field(3.0, gt=0, le=100, description="first noise level, companded units")
    sigma_min: float = Field(0.02, gt=0, le=10, description="last noise level, companded units")


class ClassicalSettings(Settings):
    """Baselines without a model."""

    svd_removed: int = Field(1, ge=1, le=100, description="leading slow-time components that are taken as haze, 1 to 100")
    cutoff: float = Field(0.15, gt=0, lt=1, description="of the lateral high-pass, share of the largest frequency")
    window: int = Field(9, ge=3, le=65, description="edge of the window of local powers, samples")
    nlm_strength: float = Field(0.8, gt=0, le=10, description="non-local means: filter strength over estimated noise")


class DehazeSettings(Settings):
    """What `medidiff dehaze` does with one recording."""

    methods: tuple[Method, ...] = Field(("regress",), min_length=1, description="one result for each of these")
    joint: str | None = Field("models/echo-priors", description="folder of the priors of tissue and haze")
    regress: str | None = Field("models/echo-regress", description="folder of the regression")
    conditional: str | None = Field(None, description="folder of the conditional diffusion model")
    strength: float = Field(1.0, ge=0, le=2, description="gamma, assumed amplitude of the haze; 0 returns the input, 0 to 2")
    seed: int = Field(0, ge=0, le=2**31, description="of all noise; each frame has its own")
    frames_at_once: int = Field(1, ge=1, le=4096, description="frames in one network call; bounds the memory, 1 to 4096")
    signal: SignalSettings = Field(SignalSettings(), description="gain and companding")
    split_gibbs: SplitGibbsSettings = Field(SplitGibbsSettings(), description="the joint sampler")
    warm_start: WarmStartSettings = Field(WarmStartSettings(), description="between frames, of split_gibbs")
    projection: ProjectionSettings = Field(ProjectionSettings(), description="the paper's sampler")
    guided: GuidedSettings = Field(GuidedSettings(), description="dps and pigdm")
    conditional_sampler: ConditionalSettings = Field(ConditionalSettings(), description="of method conditional")
    classical: ClassicalSettings = Field(ClassicalSettings(), description="baselines")

    @model_validator(mode="after")
    def _models_are_named(self) -> Self:
        kinds = {NEED_MODEL[method] for method in self.methods if method in NEED_MODEL}
        if lost := sorted(kind for kind in kinds if getattr(self, kind) is None):
            needing = ", ".join(method for method in self.methods if NEED_MODEL.get(method) in lost)
            raise ValueError(f"{needing}: need a model, found none; name its folder in {', '.join(lost)}, or choose wiener")
        return self
