"""The shipped configuration of each challenge, on small made files that lie where it expects them: raw data to volumes."""

import math
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from medidiff.acquisition.raw import read_raw, read_reference
from medidiff.acquisition.scan import simulate
from medidiff.config import read_config
from medidiff.io.dicom.series_writer import write_series
from medidiff.io.projections.lodopab import write_lodopab
from medidiff.io.volume import Volume
from medidiff.plan import solver_settings, studies_of
from medidiff.reconstruction.task import reconstruct
from physics.mri.coils import seen_by, simulated_maps
from physics.mri.fourier import to_kspace

LPS = np.array([[-1.6, 0, 0, 40.0], [0, -1.6, 0, 33.0], [0, 0, 3.0, -20.0], [0, 0, 0, 1]])
HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>64</x><y>40</y><z>1</z></matrixSize>
<fieldOfView_mm><x>320</x><y>200</y><z>4.5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>32</x><y>30</y><z>1</z></matrixSize>
<fieldOfView_mm><x>160</x><y>150</y><z>4.5</z></fieldOfView_mm></reconSpace>
<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>39</maximum><center>20</center></kspace_encoding_step_1>
</encodingLimits><trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"""


@pytest.fixture
def studies(request, monkeypatch, tmp_path):
    """name -> the configuration as shipped and its studies, with the data below a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def read(name: str):
        config = read_config(request.config.rootpath / "configs" / f"{name}.yaml")
        return config, studies_of(config)

    return read


def quick(config, study, method):
    """The settings of a method as configured, with fewer iterations."""
    chosen = solver_settings(config, study, method)
    return chosen.model_copy(update={"tv": chosen.tv.model_copy(update={"weight": 1e-3, "iterations": 10})})


def ball(shape, radius):
    """(column, row, slice)   1 within a ball around the middle."""
    places = np.meshgrid(*(np.arange(size) - (size - 1) / 2 for size in shape), indexing="ij")
    return (sum(place**2 for place in places) < radius**2).astype(np.float32)


def test_slices_of_the_mayo_clinic_become_a_few_views_and_a_volume_of_every_method(studies, tmp_path):
    volume = Volume(-1000 + 1050 * ball((50, 48, 14), 17), LPS)
    write_series(volume, tmp_path / "data" / "aapm" / "L067" / "full_3mm", modality="CT", method="made", version="1")
    config, found = studies("aapm")
    name = "L067-8-views"
    small = {"matrix": 24, "pixel_mm": 3.4, "slices": 3, "slice_mm": 3.0}
    scan = config.studies.scans[name].model_copy(update=small)
    scan = scan.model_copy(update={"ct": scan.ct.model_copy(update={"bins": 36})})
    measurement, truth = simulate(scan, tmp_path / found[name].path)
    assert measurement.line_integrals.shape == (3, 8, 36)
    for method in config.reconstruct.ct.methods:
        done = reconstruct(measurement, method=method, settings=quick(config, found[name], method))
        assert done.volume.grid.agrees_with(truth.grid)
        assert done.volume.array[12, 12, 1] == pytest.approx(50, abs=150)


@pytest.mark.parametrize("name", ["fastmri-knee", "fastmri-brain"])
def test_a_thinned_fastmri_file_becomes_a_volume_of_every_method(request, studies, tmp_path, name):
    image = torch.zeros(2, 64, 40, dtype=torch.complex64)
    image[:, 22:42, 10:30] = 3e-4
    mask = np.zeros(40, dtype=bool)
    mask[::2], mask[12:28] = True, True
    samples = to_kspace(seen_by(simulated_maps(64, 40, coils=4), image)) * torch.from_numpy(mask)
    for raw in read_config(request.config.rootpath / "configs" / f"{name}.yaml").studies.measurements.values():
        write_fastmri(tmp_path / raw.path, samples.numpy(), mask)
    config, found = studies(name)
    for study in found.values():
        measurement = read_raw(tmp_path / study.path, file_format=study.more["format"])
        assert measurement.samples.shape == (2, 4, 32, 40)
        for method in config.reconstruct.mr.methods:
            done = reconstruct(measurement, method=method, settings=quick(config, study, method))
            inside, outside = done.volume.array[20, 16, 0], done.volume.array[3, 16, 0]
            assert inside == pytest.approx(3e-4, rel=0.25) and outside < 1e-4


def write_fastmri(path, samples, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["kspace"], file["mask"] = samples, mask.astype(np.float32)
        file.create_dataset("ismrmrd_header", data=HEADER, dtype=h5py.string_dtype())
        file.attrs["acquisition"] = "CORPD_FBK"


def test_a_sample_of_lodopab_becomes_its_disc(studies, tmp_path):
    x, y, radius, value = 0.031, -0.052, 0.04, 0.25  # m, and share of 3071 HU
    angles = math.pi * (np.arange(1000) + 0.5) / 1000
    bins = 0.13 * math.sqrt(2) * (2 * (np.arange(513) + 0.5) / 513 - 1)
    away = bins - (x * np.cos(angles) + y * np.sin(angles))[:, None]
    views = value * 2 * np.sqrt(np.maximum(radius**2 - away**2, 0))
    fine = (np.arange(362) + 0.5) * 0.26 / 362 - 0.13
    disc = value * ((fine[:, None] - x) ** 2 + (fine - y) ** 2 < radius**2)
    write_lodopab(tmp_path / "data" / "lodopab", np.stack([views] * 3), np.stack([disc] * 3))
    config, found = studies("lodopab")
    study = found["LODOPAB-2"]
    place = tmp_path / study.path
    measurement = read_raw(place, file_format=study.more["format"], item=int(study.more["item"]))
    truth = read_reference(place, file_format=study.more["format"], item=int(study.more["item"]))
    few = replace(  # a thousand views of this size take a minute
        measurement,
        line_integrals=measurement.line_integrals[:, ::50],
        weights=None if measurement.weights is None else measurement.weights[:, ::50],
        geometry={**measurement.geometry, "angles_rad": list(measurement.geometry["angles_rad"][::50])},
    )
    done = reconstruct(few, method="fbp", settings=quick(config, study, "fbp"))
    assert done.volume.grid.agrees_with(truth.grid)
    inside = truth.array > truth.array.max() - 1
    assert done.volume.array[inside].mean() == pytest.approx(truth.array[inside].mean(), abs=60)
