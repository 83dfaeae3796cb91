"""Parallel-beam projectors of other toolkits on the geometry of ours: 1 mm pixels, 1 mm bins, equal views of half a turn."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch

from benchmarks.record import version
from physics.ct.parallel import ParallelBeam


@dataclass(frozen=True)
class Projector:
    """A peer: volumes (slice, 1, row, column) to sinograms (slice, 1, view, bin) and back, both float32."""

    peer: str
    slices: int  # in one timed call; longer volumes are scaled from it
    forward: Callable[[torch.Tensor], torch.Tensor]
    adjoint: Callable[[torch.Tensor], torch.Tensor]
    note: str = ""


def astra(beam: ParallelBeam) -> Projector:
    """ASTRA's `linear` projector on the CPU, slice by slice: the same lengths as ours, without a stored matrix."""
    import astra as toolbox

    volume = toolbox.create_vol_geom(beam.grid.rows, beam.grid.columns)
    panel = toolbox.create_proj_geom("parallel", 1.0, beam.bins, np.array(beam.angles_rad))
    projector = toolbox.create_projector("linear", panel, volume)
    x, y = np.zeros(beam.domain[1:], np.float32), np.zeros(beam.range[1:], np.float32)
    data = {"VolumeDataId": ("-vol", volume, x), "ProjectionDataId": ("-sino", panel, y)}
    ids = {name: toolbox.data2d.link(*parts) for name, parts in data.items()}

    def algorithm(kind: str, names: dict[str, str]) -> int:
        settings = toolbox.astra_dict(kind)
        settings["ProjectorId"] = projector
        for option, name in names.items():
            settings[option] = ids[name]
        return toolbox.algorithm.create(settings)

    project = algorithm("FP", {"VolumeDataId": "VolumeDataId", "ProjectionDataId": "ProjectionDataId"})
    spread = algorithm("BP", {"ReconstructionDataId": "VolumeDataId", "ProjectionDataId": "ProjectionDataId"})

    def forward(volumes: torch.Tensor) -> torch.Tensor:
        seen = []
        for image in volumes[:, 0].numpy():
            x[:] = image
            toolbox.algorithm.run(project)
            seen.append(y.copy())
        return torch.from_numpy(np.stack(seen))[:, None]

    def adjoint(sinograms: torch.Tensor) -> torch.Tensor:
        images = []
        for sinogram in sinograms[:, 0].numpy():
            y[:] = sinogram
            toolbox.algorithm.run(spread)
            images.append(x.copy())
        return torch.from_numpy(np.stack(images))[:, None]

    return Projector(version("astra-toolbox"), 4, forward, adjoint, "CPU, projector `linear`")


def scikit_image(beam: ParallelBeam) -> Projector:
    """scikit-image's `radon`, which turns the image, and `iradon` without filter, which is no exact adjoint."""
    from skimage.transform import iradon, radon

    degrees = np.degrees(beam.angles_rad)

    def forward(volumes: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.stack([radon(image, degrees, circle=False).T for image in volumes[:, 0].numpy()]))[:, None]

    def adjoint(sinograms: torch.Tensor) -> torch.Tensor:
        options = {"theta": degrees, "filter_name": None, "circle": False, "output_size": beam.grid.rows}
        scale = 2 * len(degrees) / np.pi  # iradon multiplies with pi / (2 views)
        return torch.from_numpy(scale * np.stack([iradon(panel.T, **options) for panel in sinograms[:, 0].numpy()]))[:, None]

    return Projector(version("scikit-image"), 1, forward, adjoint, "adjoint is iradon without filter, not exact")


def deepinv(beam: ParallelBeam) -> Projector:
    """deepinv's `Tomography`, which turns the image by `grid_sample`; its adjoint is autograd's."""
    from deepinv.physics import Tomography

    angles = torch.rad2deg(torch.tensor(beam.angles_rad))
    options = {"parallel_computation": False, "normalize": False}
    physics = Tomography(angles=angles, img_width=beam.grid.rows, circle=False, **options)

    def forward(volumes: torch.Tensor) -> torch.Tensor:
        return physics.A(volumes).transpose(-2, -1)

    def adjoint(sinograms: torch.Tensor) -> torch.Tensor:
        return physics.A_adjoint(sinograms.transpose(-2, -1).contiguous())

    return Projector(version("deepinv"), 2, forward, adjoint, "view by view, as its parallel form needs gigabytes")


PEERS = {"astra": astra, "skimage": scikit_image, "deepinv": deepinv}  # by the name that is imported


def installed(beam: ParallelBeam) -> dict[str, Projector | None]:
    """Each peer by name; None where it is not installed."""
    return {name: make(beam) if find_spec(name) else None for name, make in PEERS.items()}
