"""What the name of a method stands for: a function from a scan to a volume, with the settings of the room."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.card import Card
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.reddiff import RedDiff
from medidiff.diffusion.sample import State
from medidiff.reconstruction.classical import back_projected
from medidiff.reconstruction.dds import DDS, dds_released, released_levels
from medidiff.reconstruction.deepinv_peers import Peer
from medidiff.reconstruction.heldout import Choice, Solve, choose
from medidiff.reconstruction.mbir import MBIR, mbir_released
from medidiff.reconstruction.nadds import NADDS, na_dds
from medidiff.reconstruction.operators import Scan
from medidiff.reconstruction.patches import InChunks
from medidiff.reconstruction.reddiff import volume_red_diff
from medidiff.reconstruction.settings import ReconstructSettings
from medidiff.settings import Settings
from physics.mri.sense import reconstruct_sense, reconstruct_zero_filled
from physics.solvers.cgls import reconstruct_cgls
from physics.solvers.sirt import reconstruct_sirt
from physics.solvers.total_variation import reconstruct_tv

OnStep = Callable[[str, int, int], None]  # (what runs, levels done, levels)
START_ITERATIONS = 12  # of CGLS, where RED-diff starts
MR_REACH = 2.0  # network units up to which deepinv sees an MR image, whose 99th percentile is 1
CT_TV_ITERATIONS, MR_TV_ITERATIONS = 200, 60


def classical(method: str, settings: ReconstructSettings) -> Solve:
    """The solver of a method that needs neither a prior nor a weight from held-out data."""
    own = settings.iterative
    return {
        "fbp": lambda scan: back_projected(scan, **settings.fbp.model_dump()),
        "sirt": lambda scan: reconstruct_sirt(scan.operator, scan.y, iterations=own.sirt_iterations, nonnegative=True),
        "cgls": lambda scan: reconstruct_cgls(scan.operator, scan.y, iterations=own.cgls_iterations),
        # of the operator as it was before it got norm 1
        "zerofilled": lambda scan: reconstruct_zero_filled(scan.operator.operator, scan.y / scan.operator.factor),
        "cgsense": lambda scan: reconstruct_sense(
            scan.operator, scan.y, iterations=own.cgsense_iterations, ridge=own.cgsense_ridge
        ),
    }[method]


def total_variation(weight: float, settings: ReconstructSettings) -> Solve:
    """Total variation of one weight."""

    def solve(scan: Scan) -> Tensor:
        iterations = tv_iterations(settings, is_mr=scan.operator.is_complex)
        return scan.supported(reconstruct_tv(scan.operator, scan.y, weight=weight, iterations=iterations))

    return solve


def tv_iterations(settings: ReconstructSettings, *, is_mr: bool) -> int:
    """Iterations after which total variation hardly changes: few views of CT leave it far from its minimum for long."""
    return settings.tv.iterations or (MR_TV_ITERATIONS if is_mr else CT_TV_ITERATIONS)


def tv_weight(scan: Scan, settings: ReconstructSettings) -> tuple[float, Choice | None]:
    """The weight of total variation: that of the settings, or else the one that predicts held-out measurements best."""
    if settings.tv.weight is not None:
        return settings.tv.weight, None
    candidates = {f"{weight:g}": total_variation(weight, settings) for weight in settings.tv.weights}
    choice = choose(scan, candidates, **settings.heldout.model_dump(), seed=settings.seed)
    return float(choice.name), choice


def solver_of(settings: ReconstructSettings, method: str) -> Settings | None:
    """The section of a method's own settings; None where it has none."""
    return getattr(settings, method.removeprefix("deepinv-"), None)


def noise_of(index: int, scan: Scan, seed: int) -> Noise:
    """The noise of a sample, slice by slice, whatever the number of samples and the slabs are."""
    return Noise(seed, tuple(f"sample {index}, slice {place}" for place in range(len(scan.y))))


def nadds_options(scan: Scan, card: Card, settings: ReconstructSettings) -> NADDS:
    """NA-DDS as the settings, the noise and the spacing of the scan want it."""
    own, is_noisy = settings.nadds, scan.noise_std > 0
    threshold = own.z_threshold if own.z_threshold is not None else 0.024 if is_noisy else 0.004
    return NADDS(
        card.sd,
        steps=own.steps,
        sigma_max=own.sigma_max,
        sigma_min=own.sigma_min,
        eta=own.eta if own.eta is not None else 0.85 if is_noisy else 0.5,
        data_steps=own.data_steps or (10 if is_noisy else 5),
        rho=own.z_weight,
        threshold=scan.unit * threshold * scan.slice_ratio,
        anchor=own.anchor,
        least_noise=1e-4 * scan.unit,
        bounds=(-math.inf, math.inf) if scan.operator.is_complex else (-1.1, 1.1),
        is_posterior=own.mode == "posterior",
    )


@dataclass(frozen=True, eq=False)
class Diffusion:
    """A diffusion method with its prior, ready for any scan of the study."""

    method: str
    card: Card
    denoiser: InChunks
    settings: ReconstructSettings
    on_step: OnStep = field(default=lambda what, done, count: None)

    def samples(self, scan: Scan) -> list[Tensor]:
        """Volumes in window units, each from noise of its own that does not depend on how many there are."""
        return [self.sample(scan, index) for index in range(self.settings.samples)]

    def mean(self, scan: Scan) -> Tensor:
        """Mean of the samples."""
        return torch.stack(self.samples(scan)).mean(dim=0)

    def sample(self, scan: Scan, index: int) -> Tensor:
        """One volume in window units."""
        noise = noise_of(index, scan, self.settings.seed)
        run = {
            "nadds": self._nadds,
            "dds": self._dds,
            "mbir": self._mbir,
            "reddiff": self._reddiff,
            "deepinv-dps": self._dps,
            "deepinv-diffpir": self._diffpir,
        }[self.method]
        what, count = f"{self.method}, sample {index + 1} of {self.settings.samples}", self._levels
        u = run(scan, scan.measurement(), noise, lambda state: self.on_step(what, state.step, count))
        return scan.supported(scan.volume(u))

    @property
    def _levels(self) -> int:
        return solver_of(self.settings, self.method).steps

    def _shape(self, scan: Scan) -> tuple[int, ...]:
        return (len(scan.y), self.card.channels, *scan.operator.domain[-2:])

    def _nadds(self, scan: Scan, measurement: Measurement, noise: Noise, on_step: Callable[[State], None]) -> Tensor:
        options = nadds_options(scan, self.card, self.settings)
        return na_dds(self.denoiser, measurement, self._shape(scan), options=options, noise=noise, on_step=on_step)

    def _dds(self, scan: Scan, measurement: Measurement, noise: Noise, on_step: Callable[[State], None]) -> Tensor:
        own, is_mr = self.settings.dds, scan.operator.is_complex
        options = DDS(
            steps=own.steps,
            eta=own.eta,
            data_steps=own.data_steps,
            rho=0.0 if is_mr else own.z_weight,
            threshold=scan.unit * own.z_threshold,
            ridge=1.0 if is_mr and scan.noise_std > 0 else 0.0,
            unit=scan.unit,
        )
        return dds_released(self.denoiser, measurement, self._shape(scan), options=options, noise=noise, on_step=on_step)

    def _mbir(self, scan: Scan, measurement: Measurement, noise: Noise, on_step: Callable[[State], None]) -> Tensor:
        own = self.settings.mbir
        options = MBIR(own.steps, own.snr, own.data_steps, own.z_weight, scan.unit * own.z_threshold, scan.unit)
        return mbir_released(self.denoiser, measurement, self._shape(scan), options=options, noise=noise, on_step=on_step)

    def _reddiff(self, scan: Scan, measurement: Measurement, noise: Noise, on_step: Callable[[State], None]) -> Tensor:
        own = self.settings.reddiff
        return volume_red_diff(
            self.denoiser,
            Measurement(measurement.operator, measurement.y, 1.0),  # the data term has weight 1, as released
            scan.state(reconstruct_cgls(scan.operator, scan.y, iterations=START_ITERATIONS)),
            grid=released_levels(own.steps, unit=scan.unit, largest=self.denoiser.limits.sigma_max),
            options=RedDiff(own.prior_weight, own.learning_rate),
            threshold=scan.unit * own.z_threshold,
            noise=noise,
            on_step=on_step,
        )

    def _dps(self, scan: Scan, measurement: Measurement, noise: Noise, on_step: Callable[[State], None]) -> Tensor:
        return self._peer(scan, measurement, on_step).dps(**self.settings.dps.model_dump(), noise=noise)

    def _diffpir(self, scan: Scan, measurement: Measurement, noise: Noise, on_step: Callable[[State], None]) -> Tensor:
        return self._peer(scan, measurement, on_step).diffpir(**self.settings.diffpir.model_dump(), noise=noise)

    def _peer(self, scan: Scan, measurement: Measurement, on_step: Callable[[State], None]) -> Peer:
        return Peer(self.denoiser, measurement, self._shape(scan), MR_REACH if scan.operator.is_complex else 1.0, on_step)
