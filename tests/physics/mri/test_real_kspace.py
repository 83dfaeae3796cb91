"""Real k-space: whole slices of one coil, and a head of eight coils thinned eightfold."""

import io
import tarfile

import numpy as np
import pytest
import torch
from scipy.io import loadmat

from physics.mri.cartesian import CartesianMRI
from physics.mri.coils import root_sum_of_squares
from physics.mri.masks import calibration_width
from physics.mri.sense import reconstruct_sense, reconstruct_zero_filled
from physics.mri.sensitivities import espirit_maps

pytestmark = pytest.mark.realdata
ONE_COIL = {"coronal_fatsat_2D_knee": "kdata", "se_t1_sag_data": "data"}


@pytest.fixture(scope="module")
def files(mirror):
    """Bytes of each file by its name."""
    with tarfile.open(mirror / "archives/kspace_sigpy_larson.tar.xz") as archive:
        members = [member for member in archive if member.isfile()]
        return {member.name.split("/")[-1]: archive.extractfile(member).read() for member in members}


@pytest.mark.parametrize("name", ONE_COIL)
def test_a_whole_slice_of_one_coil_is_its_inverse_transform_with_the_tissue_in_the_middle(files, name):
    samples = loadmat(io.BytesIO(files[f"{name}.mat"]))[ONE_COIL[name]].astype(np.complex128)
    y = torch.from_numpy(samples)[None]
    operator = CartesianMRI(torch.ones(samples.shape), torch.ones(y.shape, dtype=torch.complex128))
    image = reconstruct_zero_filled(operator, y)
    expected = np.abs(np.fft.ifft2(np.fft.ifftshift(samples), norm="ortho"))  # in another order of pixels
    assert np.allclose(np.fft.ifftshift(image.abs().numpy()), expected, atol=1e-9 * expected.max())
    assert float((operator.forward(image) - y).norm() / y.norm()) < 1e-12
    rows, columns = samples.shape
    middle = image.abs()[rows // 4 : -rows // 4, columns // 4 : -columns // 4].mean()
    corners = torch.stack(
        [image.abs()[: rows // 16, edge].mean() for edge in (slice(columns // 16), slice(-columns // 16, None))]
    )
    assert float(middle) > 3 * float(corners.max())


@pytest.fixture(scope="module")
def head(files):
    """Samples (coil, row, column) and the operator with maps from their measured centre."""
    y = torch.from_numpy(np.load(io.BytesIO(files["cartesian_ksp.npy"]), allow_pickle=False))
    mask = (y != 0).any(dim=0)
    return y, CartesianMRI(mask, espirit_maps(y[None])[0])


def test_the_centre_of_the_thinned_head_is_found_and_its_maps_cover_the_head(head):
    _, operator = head
    assert calibration_width(operator.mask.numpy()) == 24
    size = root_sum_of_squares(operator.maps)
    assert torch.allclose(size[60:170, 50:130], torch.ones(110, 80), atol=1e-4)
    assert 0.6 < float((size > 0).float().mean()) < 0.8


def test_sense_explains_the_samples_of_the_thinned_head(head):
    y, operator = head
    left = [
        float((operator.forward(x) - y).norm() / y.norm()) for x in (reconstruct_zero_filled(operator, y), sense(operator, y))
    ]
    assert left[0] > 0.1
    assert left[1] < 0.04


def test_sense_predicts_hidden_lines_of_the_thinned_head_that_zero_filling_cannot(head):
    y, operator = head
    outer = [*range(70), *range(110, 180)]
    hidden = np.random.default_rng(0).choice(outer, 14, replace=False).tolist()
    seen = [column for column in range(180) if column not in hidden]
    fit, held = operator.subset(seen), operator.subset(hidden)
    truth = y[..., hidden]
    images = reconstruct_zero_filled(fit, y[..., seen]), sense(fit, y[..., seen])
    zeros, predicted = (float((held.forward(x) - truth).norm() / truth.norm()) for x in images)
    assert zeros > 0.85
    assert predicted < 0.6


def sense(operator, y):
    """Ten iterations, before noise grows."""
    return reconstruct_sense(operator, y, iterations=10)
