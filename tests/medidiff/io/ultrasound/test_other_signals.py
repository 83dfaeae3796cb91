"""UFF, described arrays and Clarius: the same numbers, geometry and frequencies as were written."""

import struct

import h5py
import numpy as np
import pytest
import yaml

from medidiff.errors import DataError
from medidiff.io.ultrasound.clarius import read_clarius
from medidiff.io.ultrasound.plain import read_plain
from medidiff.io.ultrasound.reading import read_recording
from medidiff.io.ultrasound.recording import Parallel, Sector
from medidiff.io.ultrasound.settings import RecordingFacts
from medidiff.io.ultrasound.uff import read_uff

DEPTHS, ANGLES = 0.01 + 3e-4 * np.arange(6), -0.5 + 0.02 * np.arange(4)


def signal(frames=2):
    generator = np.random.default_rng(1)
    shape = (frames, len(DEPTHS), len(ANGLES))
    return (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)).astype(np.complex64)


def uff_file(path, values, *, matlab, lists_positions=False, **scalars):
    frames = len(values)
    pixels = values.transpose(0, 2, 1).reshape(frames, -1) if matlab else values.reshape(frames, -1).T
    shape = (frames, 1, 1, pixels.shape[1]) if matlab else (pixels.shape[0], 1, 1, frames)
    with h5py.File(path, "w") as file:
        group = file.create_group("b_data")
        group.attrs["class"] = "uff.beamformed_data"
        for part in ("real", "imag"):
            group[f"data/{part}"] = getattr(pixels, part).reshape(shape)
        group.create_group("scan").attrs["class"] = np.bytes_("uff.sector_scan")
        group["scan/depth_axis"], group["scan/azimuth_axis"] = DEPTHS, ANGLES
        if lists_positions:
            z = DEPTHS[:, None] * np.cos(ANGLES)
            group["scan/z"] = (z.T if matlab else z).ravel()
        for name, value in scalars.items():
            group[name] = np.array([[value]])
    return path


@pytest.mark.parametrize("matlab", [False, True])
@pytest.mark.parametrize("lists_positions", [False, True])
def test_uff_is_read_as_matlab_and_as_python_store_it(tmp_path, matlab, lists_positions):
    path = uff_file(tmp_path / "a.uff", signal(), matlab=matlab, lists_positions=lists_positions, modulation_frequency=2.5e6)
    found = read_uff(path, sound_speed=1540.0)
    np.testing.assert_array_equal(found.values, signal())
    assert found.geometry.range_step_m == pytest.approx(3e-4) and found.geometry.angle_step_rad == pytest.approx(0.02)
    assert found.sampling_hz == pytest.approx(1540.0 / 6e-4) and found.demodulation_hz == 2.5e6


def test_uff_without_a_speed_of_sound_takes_it_from_depths_and_sampling_or_says_what_is_missing(tmp_path):
    path = uff_file(tmp_path / "a.uff", signal(), matlab=True, modulation_frequency=2.5e6, sampling_frequency=2.5e6)
    assert read_uff(path).sound_speed == pytest.approx(1500.0)
    silent = uff_file(tmp_path / "b.uff", signal(), matlab=True)
    with pytest.raises(DataError, match=r"b\.uff: sampling_hz, demodulation_hz, sound_speed: found nothing"):
        read_uff(silent)


def test_the_package_of_the_format_writes_what_is_read(tmp_path):
    pyuff = pytest.importorskip("pyuff_ustb", reason="pip install pyuff-ustb")
    origin = pyuff.Point(distance=0.0, azimuth=0.0, elevation=0.0)
    scan = pyuff.SectorScan(azimuth_axis=ANGLES, depth_axis=DEPTHS, origin=origin)
    data = signal().reshape(2, -1).T[:, None, None, :]
    written = pyuff.BeamformedData(scan=scan, data=data, modulation_frequency=2.5e6, sampling_frequency=2.5e6)
    written.write(str(tmp_path / "a.uff"), "b_data")
    np.testing.assert_array_equal(read_uff(tmp_path / "a.uff").values, signal())


def test_channel_data_in_uff_are_refused_with_advice(tmp_path):
    with h5py.File(tmp_path / "c.uff", "w") as file:
        file.create_group("channel_data").attrs["class"] = "uff.channel_data"
    with pytest.raises(DataError, match=r"found channel_data \(uff.channel_data\), expected one.*Beamform"):
        read_uff(tmp_path / "c.uff")


SAID = {
    "kind": "iq",
    "axes": ["lateral", "axial", "frame", "channel"],
    "sampling_hz": 2.5e6,
    "demodulation_hz": 2.5e6,
    "sound_speed": 1540.0,
    "first_range_m": 0.01,
    "first_angle_rad": -0.5,
    "angle_step_rad": 0.02,
}


@pytest.mark.parametrize("suffix", ["npy", "h5"])
def test_a_described_array_is_put_in_order(tmp_path, suffix):
    path, array = tmp_path / f"a.{suffix}", signal().transpose(2, 1, 0)
    two = np.stack([array.real, array.imag], axis=-1)
    if suffix == "npy":
        np.save(path, two)
    else:
        with h5py.File(path, "w") as file:
            file["deep/inside"] = two
    said = SAID | ({"array": "deep/inside"} if suffix == "h5" else {})
    path.with_suffix(".yaml").write_text(yaml.safe_dump(said))
    found, _ = read_recording(path)
    np.testing.assert_array_equal(found.values, signal())
    assert found.geometry == Sector(0.01, 1540.0 / 5e6, -0.5, 0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sound_speed": None}, "sound_speed"),
        ({"axes": ["axial", "lateral"]}, r"found float32 of shape \(4, 6, 2, 2\), expected numbers with the axes axial, lateral"),
        ({"kind": "rf"}, "expected rf: IQ is complex"),
        ({"line_step_m": 1e-4}, "give first_angle_rad and angle_step_rad of a sector, or line_step_m"),
        ({"sampling": 1}, "sampling: Extra inputs"),
    ],
)
def test_a_description_that_does_not_fit_says_where(tmp_path, change, message):
    array = signal().transpose(2, 1, 0)
    np.save(tmp_path / "a.npy", np.stack([array.real, array.imag], axis=-1))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(SAID | change))
    with pytest.raises(DataError, match=message):
        read_plain(tmp_path / "a.npy")


def test_an_array_without_a_description_is_refused_and_a_pickle_is_never_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"found no a\.yaml beside it"):
        read_plain(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(SAID))
    with pytest.raises(DataError, match="not readable as one NumPy array"):
        read_plain(tmp_path / "b.npy")


def clarius_file(path, values, *, pulses=1, lines=None):
    """(pulse, axial, lateral) complex numbers of whole parts, as the scanner writes them."""
    count, samples, beams = values.shape
    flat = values.transpose(2, 0, 1).reshape(beams * count, samples)
    numbers = np.stack([flat.real, flat.imag], axis=-1).astype("<i2")
    path.write_bytes(struct.pack("<5Iq", 0, 1, beams * count, samples, 4, 7) + numbers.tobytes())
    listed = "".join(f"  - {{rx element: {i // pulses}, tx element: 3.5, angle: 15 °}}\n" for i in range(beams * count))
    path.with_suffix(".yml").write_text(
        "frame rate: 18 Hz\ntransmit frequency: 5 MHz\nsampling rate: 15 MHz\ndelay samples: 108\nlines:\n" + listed
    )
    return path


def test_lines_of_one_beam_become_frames_of_slow_time(tmp_path):
    values = np.arange(3 * 5 * 4).reshape(3, 5, 4) * (1 + 2j)
    found = read_clarius(clarius_file(tmp_path / "a.raw", values, pulses=3))
    np.testing.assert_array_equal(found.values, values.astype(np.complex64))
    step = 1540.0 / 30e6
    assert found.geometry == Parallel(pytest.approx(108 * step), pytest.approx(step)) and found.facts["pulses_of_a_beam"] == 3


@pytest.mark.parametrize(
    "change", [lambda b: b[:-1], lambda b: b[:10], lambda b: b + b"\0", lambda b: b[:4] + b"\xff" * 12 + b[16:]]
)
def test_a_raw_file_of_another_size_is_refused(tmp_path, change):
    path = clarius_file(tmp_path / "a.raw", np.ones((1, 5, 4)) + 0j)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=r"a.raw: found \d+ bytes"):
        read_clarius(path)


def test_a_stated_distance_of_beams_is_used(tmp_path):
    path = clarius_file(tmp_path / "a.raw", np.ones((1, 5, 4)) + 0j)
    found, _ = read_recording(path, RecordingFacts(line_mm=0.3))
    assert found.geometry.line_step_m == pytest.approx(3e-4)


def coherence(a, b):
    """Median over lines of |<a, b>| / (|a| |b|)."""
    norms = np.sqrt((np.abs(a) ** 2).sum(axis=1) * (np.abs(b) ** 2).sum(axis=1))
    return np.median(np.abs((a * b.conj()).sum(axis=1)) / norms)


@pytest.mark.realdata
def test_the_carotid_of_clarius_has_twelve_pulses_of_104_beams(mirror, tmp_path):
    import tarfile

    with tarfile.open(mirror / "archives" / "us_clarius_doppler.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    found = read_clarius(tmp_path / "clarius_carotid_doppler" / "carotid_iq.raw")
    assert found.values.shape == (12, 352, 104) and found.demodulation_hz == 5e6 and found.facts["steered_deg"] == 15
    # neighbouring beams see nearly the same tissue; pulses of a beam do not agree, since the scanner's wall filter went before
    across = coherence(found.values[:, :, 1:], found.values[:, :, :-1])
    assert across > 0.85 and coherence(found.values[1:], found.values[:-1]) < 0.6
    envelope = read_clarius(tmp_path / "clarius_carotid_doppler" / "carotid_env.raw")
    assert envelope.kind == "image" and envelope.values.shape == (1, 592, 304)
