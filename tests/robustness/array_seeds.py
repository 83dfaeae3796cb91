"""Small inputs of arrays: NIfTI, raw data of CT and MRI, ultrasound, trajectories, and our own files."""

from functools import cache
from pathlib import Path

import h5py
import numpy as np

from medidiff.io.chromatogram.storage import Curves, read_curves, write_curves
from medidiff.io.kspace.arrays import read_kspace_array
from medidiff.io.kspace.fastmri import read_fastmri, read_fastmri_reference
from medidiff.io.kspace.ismrmrd_file import read_ismrmrd
from medidiff.io.listing import nifti_studies
from medidiff.io.maps import Maps, read_maps, write_maps
from medidiff.io.measurement import KSpace, Projections, read_measurement, write_measurement
from medidiff.io.nifti import read_nifti, write_nifti
from medidiff.io.pde.pdebench import read_pdebench
from medidiff.io.pde.predictions import Predictions, read_predictions, write_predictions
from medidiff.io.pde.trajectories import TrajectorySet, read_trajectories, write_trajectories
from medidiff.io.pde.well import read_well
from medidiff.io.projections.lodopab import read_lodopab, read_lodopab_truth, write_lodopab
from medidiff.io.ultrasound.mha import write_mha
from medidiff.io.ultrasound.reading import read_recording
from medidiff.io.ultrasound.recording import Recording
from medidiff.io.ultrasound.zea import read_extras, write_zea
from medidiff.io.volume import Volume
from tests.medidiff.io.kspace.conftest import HEADER, PLAIN
from tests.medidiff.io.kspace.test_fastmri import write as write_fastmri
from tests.medidiff.io.kspace.test_ismrmrd_file import every_line
from tests.medidiff.io.kspace.test_ismrmrd_file import write as write_ismrmrd
from tests.medidiff.io.pde.test_foreign import _well as write_well
from tests.medidiff.io.test_measurement import kspace, projections
from tests.medidiff.io.ultrasound.test_other_signals import SAID, clarius_file, signal, uff_file
from tests.medidiff.io.ultrasound.test_zea import FACTS, SECTOR, iq, zea_file
from tests.robustness.hdf5_mutations import ARRAYS
from tests.robustness.mutation import EQUAL, PLACED, REFUSED, Mutation, files_of
from tests.robustness.nifti_mutations import HEADER as NIFTI_HEADER
from tests.robustness.nifti_mutations import PACKED
from tests.robustness.seed import Seed
from tests.robustness.text_mutations import TEXTS, YAML
from tests.robustness.trial import Found, found

OBLIQUE = np.array([[1.4, -0.5, 0.2, -9.0], [0.4, 1.9, 0.0, 3.0], [-0.1, 0.1, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]])
RANDOM = np.random.default_rng(11)
SMALL = PLAIN | {"x": 16, "y": 10, "recon_x": 8, "recon_y": 8, "last": 9, "centre": 5}
KSPACE = (RANDOM.normal(size=(3, 2, 16, 10)) + 1j * RANDOM.normal(size=(3, 2, 16, 10))).astype(np.complex64)
KSPACE[..., 8, 5] = 40


def _right_angled() -> np.ndarray:
    affine = OBLIQUE.copy()
    directions = np.linalg.qr(affine[:3, :3])[0]
    affine[:3, :3] = directions * (1.4, 1.9, 3.0)
    return affine


def _only(folder: Path, suffix: str) -> Path:
    """The file of a folder with this suffix, or where it was."""
    return next((path for path in files_of(folder) if path.name.endswith(suffix)), folder / f"a{suffix}")


def _volume(volume: Volume) -> Found:
    return found([volume.array.shape, volume.affine], np.asarray(volume.array, np.float32))


def _write_nifti(suffix: str):
    values = RANDOM.integers(-500, 1500, (7, 6, 5)).astype(np.int16)
    return lambda folder: write_nifti(Volume(values, _right_angled()), folder / f"a{suffix}")


def _list_nifti(folder: Path) -> Found:
    rows = nifti_studies(folder, [path.relative_to(folder).as_posix() for path in files_of(folder)], deep=True)
    return found([], [(row.kind, row.status) for row in rows])


def _measurement(made: Projections | KSpace) -> Found:
    if isinstance(made, Projections):
        numbers = [value for value in made.geometry.values() if not isinstance(value, str)]
        weights = np.zeros(0) if made.weights is None else made.weights
        return found([made.affine, made.grid.shape, *numbers], made.line_integrals, weights, made.water_per_mm)
    return found([made.affine, made.grid.shape], made.samples, made.mask, made.noise_std, made.calibration_lines)


@cache
def _lodopab() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    return random.uniform(0, 1, (1, 1000, 513)).astype("f4"), random.uniform(0, 1, (1, 362, 362)).astype("f4")


def _read_lodopab(folder: Path) -> Found:
    made, truth = read_lodopab(folder, 0), read_lodopab_truth(folder, 0)
    return found([made.affine, truth.affine], made.line_integrals, truth.array)


def _write_fastmri(folder: Path) -> None:
    reference = np.abs(RANDOM.normal(size=(3, 8, 8))).astype("f4")
    write_fastmri(folder / "a.h5", HEADER.format(**SMALL), KSPACE, reconstruction_rss=reference, mask=np.ones(10, bool))


def _read_fastmri(folder: Path) -> Found:
    path = _only(folder, ".h5")
    made, reference = read_fastmri(path), read_fastmri_reference(path)
    return found([made.affine, made.grid.shape], made.samples, made.mask, np.zeros(0) if reference is None else reference.array)


def _write_ismrmrd(folder: Path) -> None:
    write_ismrmrd(folder / "a.h5", HEADER.format(**SMALL), every_line(KSPACE, steps=range(10)))


def _read_ismrmrd(folder: Path) -> Found:
    made = read_ismrmrd(_only(folder, ".h5"))
    return found([one.affine for one in made], *(one.samples for one in made), *(one.mask for one in made))


def _recording(folder: Path, suffix: str) -> Found:
    made, _ = read_recording(_only(folder, suffix))
    geometry = [value for value in vars(made.geometry).values() if isinstance(value, int | float)]
    rates = (made.sampling_hz, made.centre_hz, made.demodulation_hz, made.sound_speed, made.frame_rate_hz)
    return found([geometry, made.values.shape], made.values, rates)


def _reads(suffix: str):
    return lambda folder: _recording(folder, suffix)


def _write_zea(folder: Path) -> None:
    recording = Recording(iq(), "iq", SECTOR, **FACTS, frame_rate_hz=40.0, facts={"seed": 3})
    write_zea(recording, folder / "a.hdf5", extras={"haze": iq(seed=1)})


def _read_zea(folder: Path) -> Found:
    extras = read_extras(_only(folder, ".hdf5"), ["haze"])
    made = _recording(folder, ".hdf5")
    assert all(np.isfinite(values).all() for values in extras.values()), "extras are not finite"
    return made


def _write_described(suffix: str):
    import yaml

    def write(folder: Path) -> None:
        values = signal().transpose(2, 1, 0)
        two = np.stack([values.real, values.imag], axis=-1)
        if suffix == ".npy":
            np.save(folder / "a.npy", two)
        else:
            with h5py.File(folder / "a.h5", "w") as file:
                file["deep/inside"] = two
        said = SAID | ({"array": "deep/inside"} if suffix == ".h5" else {})
        (folder / "a.yaml").write_text(yaml.safe_dump(said))

    return write


def _trajectories() -> TrajectorySet:
    draw = lambda *shape: RANDOM.normal(size=shape).astype("f4")
    units = {"velocity": "m/s", "f": "m/s^2", "viscosity": "m^2/s", "t": "s", "x": "m"}
    arrays = (draw(3, 1, 4, 12), draw(3, 1, 12), 0.25 * np.arange(1, 5), ((np.arange(12) + 0.5) / 12,), ("velocity",))
    return TrajectorySet(*arrays, draw(3, 1, 4, 12), draw(3, 1), ("viscosity",), units=units, facts={"system": "burgers"})


def _trajectory_set(made: TrajectorySet) -> Found:
    return found([made.times, *made.space], *made.arrays().values(), made.fields, made.parameters)


def _write_pdebench(folder: Path) -> None:
    with h5py.File(folder / "a.hdf5", "w") as file:
        file["tensor"] = RANDOM.normal(size=(4, 6, 10)).astype("f4")
        file["x-coordinate"], file["t-coordinate"] = np.linspace(0.05, 0.95, 10, dtype="f4"), 0.1 * np.arange(7, dtype="f4")
        file.attrs["beta"] = 0.4


def _write_groups(folder: Path) -> None:
    with h5py.File(folder / "a.hdf5", "w") as file:
        for number in range(3):
            group = file.create_group(f"{number:04d}")
            group["data"] = RANDOM.normal(size=(5, 8, 6, 2)).astype("f4")
            group["grid/t"], group["grid/x"], group["grid/y"] = np.arange(5.0), np.arange(8.0), np.arange(6.0)
            group.attrs["config"] = "a: 1"


def _write_maps(folder: Path) -> None:
    write_maps(Maps({"spread": Volume(RANDOM.random((3, 4, 5), "f4"), OBLIQUE)}, OBLIQUE, {"samples": 4}), folder / "a.h5")


def _read_maps(folder: Path) -> Found:
    made = read_maps(_only(folder, ".h5"))
    return found([made.affine], *(volume.array for volume in made.volumes.values()), dict(made.facts))


def _write_curves(folder: Path) -> None:
    values = {"signal": RANDOM.random(30), "fitted": RANDOM.random((2, 30))}
    write_curves(folder / "a.h5", Curves(np.arange(30.0), values, ("a", "b"), {"unit": "mV"}))


def _read_curves(folder: Path) -> Found:
    made = read_curves(_only(folder, ".h5"))
    return found([made.times], *(values for values in made.values.values()), made.names)


def _predictions(folder: Path) -> Found:
    made = read_predictions(_only(folder, ".h5"))
    return found([], *made.arrays.values(), dict(made.facts))


def _write_predictions(folder: Path) -> None:
    write_predictions(Predictions({"u": RANDOM.random((2, 1, 3, 4), "f4")}, {"fields": ["u"]}), folder / "a.h5")


def _write_matlab(folder: Path) -> None:
    import scipy.io

    scipy.io.savemat(folder / "a.mat", {"kspace": KSPACE}, do_compression=True)


def _npy_header(text: bytes) -> Mutation:
    """An array of NumPy whose header says something else."""

    def change(folder: Path, random: np.random.Generator) -> None:
        path = _only(folder, ".npy")
        content = path.read_bytes()
        path.write_bytes(content[:8] + len(text).to_bytes(2, "little") + text + content[128:])

    return Mutation(f"header {text[:40]!r}", REFUSED, change)


NUMPY = tuple(
    map(
        _npy_header,
        (
            b"{'descr': '<c8', 'fortran_order': False, 'shape': (100000, 100000, 100)}\n",
            b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n",
            b"{'descr': '<c8', 'fortran_order': False, 'shape': (-4,)}\n",
            b"__import__('os').system('touch CANARY')\n",
            b"(" * 3000,
            b"{'descr': [('a', '<c8', (2, 2))], 'fortran_order': False, 'shape': (1,)}\n",
        ),
    )
)

SEEDS = (
    Seed("nifti", _write_nifti(".nii"), lambda f: _volume(read_nifti(_only(f, ".nii"))), NIFTI_HEADER, PLACED, 0.01),
    Seed(
        "nifti gz",
        _write_nifti(".nii.gz"),
        lambda f: _volume(read_nifti(_only(f, ".nii.gz"))),
        NIFTI_HEADER + PACKED,
        EQUAL,
        1e-3,
    ),
    Seed("nifti listing", _write_nifti("_ct.nii.gz"), _list_nifti),
    Seed(
        "measurement ct",
        lambda f: write_measurement(projections(), f / "a.h5"),
        lambda f: _measurement(read_measurement(_only(f, ".h5"))),
        ARRAYS,
    ),
    Seed(
        "measurement mr",
        lambda f: write_measurement(kspace(), f / "a.h5"),
        lambda f: _measurement(read_measurement(_only(f, ".h5"))),
        ARRAYS,
    ),
    Seed("lodopab", lambda f: write_lodopab(f, *_lodopab()), _read_lodopab, ARRAYS[:18]),
    Seed("fastmri", _write_fastmri, _read_fastmri, ARRAYS),
    Seed("ismrmrd", _write_ismrmrd, _read_ismrmrd, ARRAYS[:16]),
    Seed(
        "k-space npy", lambda f: np.save(f / "a.npy", KSPACE), lambda f: _measurement(read_kspace_array(_only(f, ".npy"))), NUMPY
    ),
    Seed("k-space mat", _write_matlab, lambda f: _measurement(read_kspace_array(_only(f, ".mat")))),
    Seed("zea", _write_zea, _read_zea, ARRAYS),
    Seed("zea 0.0.4", lambda f: zea_file(f / "a.hdf5", old=True), _read_zea, ARRAYS[:18]),
    Seed(
        "uff",
        lambda f: uff_file(
            f / "a.uff", signal(), matlab=True, lists_positions=True, modulation_frequency=2.5e6, sampling_frequency=2.5e6
        ),
        _reads(".uff"),
        ARRAYS,
    ),
    Seed("described npy", _write_described(".npy"), _reads(".npy"), NUMPY + TEXTS + YAML),
    Seed("described hdf5", _write_described(".h5"), _reads(".h5"), ARRAYS + TEXTS + YAML),
    Seed("clarius", lambda f: clarius_file(f / "a.raw", signal(3), pulses=3), _reads(".raw"), TEXTS),
    Seed("mha", lambda f: write_mha(RANDOM.integers(0, 255, (2, 9, 8)), f / "a.mha"), _reads(".mha")),
    Seed(
        "trajectories",
        lambda f: write_trajectories(_trajectories(), f / "a.h5"),
        lambda f: _trajectory_set(read_trajectories(_only(f, ".h5"))),
        ARRAYS,
    ),
    Seed("pdebench", _write_pdebench, lambda f: _trajectory_set(read_pdebench(_only(f, ".hdf5"))), ARRAYS),
    Seed("pdebench groups", _write_groups, lambda f: _trajectory_set(read_pdebench(_only(f, ".hdf5"))), ARRAYS),
    Seed("the well", lambda f: write_well(f / "a.hdf5"), lambda f: _trajectory_set(read_well(_only(f, ".hdf5"))), ARRAYS),
    Seed("predictions", _write_predictions, _predictions, ARRAYS),
    Seed("maps", _write_maps, _read_maps, ARRAYS),
    Seed("curves", _write_curves, _read_curves, ARRAYS),
)
