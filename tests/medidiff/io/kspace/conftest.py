"""Images, coils and headers from which the tests of this folder write k-space in the layouts of others."""

from collections.abc import Callable

import numpy as np
import pytest

HEADER = """<?xml version="1.0" encoding="utf-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
  <acquisitionSystemInformation><relativeReceiverNoiseBandwidth>{bandwidth}</relativeReceiverNoiseBandwidth>
  </acquisitionSystemInformation>
  <encoding>
    <encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>{fov_x}</x><y>{fov_y}</y><z>4.5</z></fieldOfView_mm></encodedSpace>
    <reconSpace><matrixSize><x>{recon_x}</x><y>{recon_y}</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>{recon_fov_x}</x><y>{fov_y}</y><z>4.5</z></fieldOfView_mm></reconSpace>
    <encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{last}</maximum><center>{centre}</center>
      </kspace_encoding_step_1></encodingLimits>
    <trajectory>{trajectory}</trajectory>
    <parallelImaging><calibrationMode>{calibration}</calibrationMode></parallelImaging>
  </encoding>
</ismrmrdHeader>"""
PLAIN = {"x": 64, "y": 40, "fov_x": 160.0, "fov_y": 120.0, "recon_x": 32, "recon_y": 30, "recon_fov_x": 80.0, "bandwidth": 1.0}
PLAIN |= {"last": 39, "centre": 20, "trajectory": "cartesian", "calibration": "embedded"}


@pytest.fixture(scope="session")
def header() -> Callable[..., str]:
    """A maker of ISMRMRD headers: 64 x 40 encoded, the readout twice the field of view; keywords change it."""
    return lambda **changes: HEADER.format(**PLAIN | changes)


@pytest.fixture(scope="session")
def transform() -> Callable[[np.ndarray], np.ndarray]:
    """The orthonormal centred transform of the last two axes, by matrices and not by FFT."""

    def matrix(count: int) -> np.ndarray:
        place = np.arange(count) - count // 2
        return np.exp(-2j * np.pi * np.outer(place, place) / count) / np.sqrt(count)

    return lambda image: matrix(image.shape[-2]) @ image @ matrix(image.shape[-1])


@pytest.fixture(scope="session")
def coil_images() -> np.ndarray:
    """(slice, coil, row, column) complex: smooth coils times blobs that differ among slices, within the middle 32 of 64 rows."""
    rows, columns = np.mgrid[:64, :40]
    images = []
    for k in range(3):
        blob = np.exp(-((rows - 28 - k) ** 2) / 30 - (columns - 17 + 2 * k) ** 2 / 40) + 0.5 * (
            (np.hypot(rows - 36, columns - 24)) < 4
        )
        coils = [np.exp(1j * (0.3 + c) - ((rows - 32) * np.cos(c) + (columns - 20) * np.sin(c)) / 90) for c in range(4)]
        images.append([coil * blob for coil in coils])
    outside = np.abs(rows - 32 + 0.5) > 16
    return np.where(outside, 0, np.array(images)).astype(np.complex64)
