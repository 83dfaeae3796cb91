"""DICOM-CT-PD, against geometry that is written down here a second time, from the format's description alone."""

import dataclasses
import math

import numpy as np
import pydicom
import pytest
import torch

from medidiff.errors import DataError
from medidiff.io.measurement import read_measurement, write_measurement
from medidiff.io.projections.ct_pd import read_scan, read_views
from medidiff.io.projections.ct_pd_fan import read_ct_pd
from medidiff.io.projections.ct_pd_scan import Scan
from medidiff.io.projections.ct_pd_writer import write_ct_pd
from physics.ct.fan import FanBeam
from physics.ct.grid import Grid

X, Y, WIDTH, MU = 37.0, -21.0, 12.0, 0.02  # a soft rod along z: seen from the table, right of and below the axis; mm, 1/mm


def chord(away_mm):
    """Of MU exp(-r^2 / 2 WIDTH^2), along lines at these distances from the middle of the rod."""
    return MU * WIDTH * math.sqrt(2 * math.pi) * np.exp(-(away_mm**2) / (2 * WIDTH**2))


def scan(*, views=24, start=0.3, turn=2 * math.pi, columns=121, rows=3, **changes):
    phi = start + turn * np.arange(views) / views
    given = {
        "phi_rad": phi,
        "rho_mm": np.full(views, 595.0),
        "z_mm": np.full(views, 12.5),
        "shift": np.zeros((views, 3)),
        "elements": (rows, columns),
        "element_mm": (2.0, 2.4),
        "central": ((rows + 1) / 2, (columns + 1) / 2 + 0.25),
        "focal_mm": 1085.0,
    }
    return Scan(**given | changes)


def views_of_ball(one, *, middle_mm):
    """As `views_of_rod`, of a ball MU exp(-r^2 / 2 WIDTH^2) at (X, Y, middle_mm)."""
    found = np.empty((len(one.phi_rad), *one.elements))
    for view, (source, element) in enumerate(ray_ends(one)):
        ray = (element - source) / np.linalg.norm(element - source, axis=-1, keepdims=True)
        away = np.cross(np.array([X, Y, middle_mm]) - source, ray)
        found[view] = chord(np.linalg.norm(away, axis=-1))
    return found


def views_of_rod(one):
    """Line integrals (view, row, column) through the rod."""
    found = np.empty((len(one.phi_rad), *one.elements))
    for view, (source, element) in enumerate(ray_ends(one)):
        ray = element - source
        length = np.hypot(ray[..., 0], ray[..., 1])
        away = np.abs((X - source[0]) * ray[..., 1] - (Y - source[1]) * ray[..., 0]) / length
        found[view] = chord(away) * np.hypot(1, ray[..., 2] / length)
    return found


def ray_ends(one):
    """Focal spot (3,) and elements (row, column, 3) of each view, in the left-handed coordinates of the format."""
    rows, columns = one.elements
    along = (np.arange(1, columns + 1) - one.central[1]) * one.element_mm[1]
    up = (one.central[0] - np.arange(1, rows + 1)) * one.element_mm[0]  # row 1 is farthest from the table
    for phi, rho, z, (turn, dz, drho) in zip(one.phi_rad, one.rho_mm, one.z_mm, one.shift):
        right, out = np.array([math.cos(phi), math.sin(phi)]), np.array([-math.sin(phi), math.cos(phi)])
        if one.shape == "FLAT":
            flat = rho * out + along[:, None] * right - one.focal_mm * out
        else:
            angle = along[:, None] / one.focal_mm
            flat = rho * out + one.focal_mm * (np.sin(angle) * right - np.cos(angle) * out)
        element = np.concatenate(
            [np.broadcast_to(flat, (rows, columns, 2)), np.broadcast_to((z + up)[:, None, None], (rows, columns, 1))], -1
        )
        source = (rho + drho) * np.array([-math.sin(phi + turn), math.cos(phi + turn)])
        yield np.array([*source, z + dz]), element


def rays_through_rod(geometry):
    """Line integrals (view, bin) of the rod along the rays of our own fan beam, where right is +x and up is +y."""
    grid = Grid(geometry["rows"], geometry["columns"], geometry["pixel_mm"])
    fan = FanBeam(grid, tuple(geometry["angles_rad"]), *(geometry[key] for key in ("bins", "bin_mm", "source_mm", "detector_mm")))
    rows = []
    for source, ray in fan.rays():
        away = (X - source[:, 0]) * ray[:, 1] - (Y - source[:, 1]) * ray[:, 0]
        rows.append(chord(away))
    return np.array(rows), fan


@pytest.mark.parametrize("implicit", [False, True])
def test_views_and_geometry_come_back_to_the_stored_quantum(tmp_path, implicit):
    one = scan(photons=np.random.default_rng(0).uniform(1e4, 1e5, (24, 121)).astype(np.float32), position="FFS", field_mm=250.0)
    values = np.random.default_rng(1).normal(2, 1, (24, 3, 121))
    quantum = write_ct_pd(one, values, tmp_path)
    if implicit:  # as published: private elements of unknown type hold packed bytes
        for path in tmp_path.iterdir():
            header = pydicom.dcmread(path)
            header.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            header.save_as(path, implicit_vr=True)
        assert isinstance(pydicom.dcmread(path)[0x7031, 0x1001].value, bytes)
    found = read_scan(tmp_path)
    assert np.abs(read_views(found, range(24)) - values).max() <= quantum * (0.5 + 1e-3)
    for field in ("phi_rad", "rho_mm", "z_mm", "shift", "photons", "central", "element_mm", "focal_mm", "field_mm"):
        assert np.allclose(getattr(found, field), getattr(one, field), rtol=1e-6, atol=1e-9), field
    assert (found.elements, found.position, found.shape) == ((3, 121), "FFS", "CYLINDRICAL")


def test_equal_scans_give_equal_files_and_stored_numbers_are_stable(tmp_path):
    one, values = scan(views=4), np.random.default_rng(1).normal(2, 1, (4, 3, 121))
    write_ct_pd(one, values, tmp_path / "a")
    write_ct_pd(one, values, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    first = read_views(read_scan(tmp_path / "a"), range(4))
    again = write_ct_pd(one, first, tmp_path / "c")
    assert np.abs(read_views(read_scan(tmp_path / "c"), range(4)) - first).max() <= again * (0.5 + 1e-3)


def test_files_stored_the_other_way_round_are_read_alike(tmp_path):
    write_ct_pd(scan(views=4), views_of_rod(scan(views=4)), tmp_path)
    before = read_views(read_scan(tmp_path), range(4))
    for path in tmp_path.iterdir():
        header = pydicom.dcmread(path)
        header.PixelData = np.ascontiguousarray(header.pixel_array.T).tobytes()
        header.Rows, header.Columns = header.Columns, header.Rows
        header.save_as(path)
    assert np.array_equal(read_views(read_scan(tmp_path), range(4)), before)


@pytest.mark.parametrize("shape", ["CYLINDRICAL", "FLAT"])
def test_rays_of_the_scanner_become_those_of_our_fan_beam(tmp_path, shape):
    one = scan(shape=shape)
    write_ct_pd(one, views_of_rod(one), tmp_path)
    found = read_ct_pd(tmp_path, matrix=64)
    expected, fan = rays_through_rod(found.geometry)
    assert found.line_integrals.shape == (3, 24, fan.bins) and fan.bins >= 120
    for part in found.line_integrals:
        assert np.linalg.norm(part - expected) < 1e-4 * np.linalg.norm(expected)


def test_the_rod_lies_where_the_affine_says(tmp_path):
    write_ct_pd(scan(), views_of_rod(scan()), tmp_path)
    found = read_ct_pd(tmp_path, matrix=80, field_mm=200.0)
    _, fan = rays_through_rod(found.geometry)
    places = found.grid.positions(np.stack(np.meshgrid(np.arange(80), np.arange(80), [0], indexing="ij"), -1).reshape(-1, 3))
    # head first, on the back: the right of whoever looks from the table is the patient's left, and up is anterior
    rod = MU * np.exp(-((places[:, 0] + X) ** 2 + (places[:, 1] - Y) ** 2) / (2 * WIDTH**2)).reshape(80, 80)
    ours = fan.forward(torch.from_numpy(np.ascontiguousarray(rod.T, dtype=np.float32))[None, None])[0, 0].numpy()
    assert np.linalg.norm(ours - found.line_integrals[1]) < 0.005 * np.linalg.norm(ours)


@pytest.mark.parametrize(
    "position, signs", [("HFS", (-1, 1, 1)), ("FFS", (1, 1, -1)), ("HFP", (1, -1, 1)), ("FFP", (-1, -1, -1))]
)
def test_axes_follow_the_patient_and_stay_right_handed(tmp_path, position, signs):
    one = scan(position=position)
    write_ct_pd(one, views_of_rod(one), tmp_path)
    affine = read_ct_pd(tmp_path, matrix=16, field_mm=160.0).affine
    right, front, up = signs
    assert np.sign(np.diag(affine)[:3]).tolist() == [right, -front, up]
    assert np.linalg.det(affine[:3, :3]) > 0
    assert affine[2, 3] == pytest.approx(up * (12.5 - 2.0 * 595 / 1085))  # row 3 is nearest to the table: the lowest slice
    assert affine[2, 2] == pytest.approx(up * 2.0 * 595 / 1085)


@pytest.mark.parametrize(
    "mode, shifts",
    [("FFSXY", [(0.004, 0, 0.3), (-0.003, 0, -0.2)]), ("FFSXYZ", [(0.002, 0.5, 0.1), (-0.002, 0.5, 0), (0, 0, 0), (0, -0.5, 0)])],
)
def test_each_place_of_a_flying_focal_spot_is_a_scan_of_its_own(tmp_path, mode, shifts):
    one = scan(focal_spot=mode, shift=np.tile(shifts, (24 // len(shifts), 1)))
    write_ct_pd(one, views_of_rod(one), tmp_path)
    assert read_scan(tmp_path).subscans == len(shifts)
    for subscan, (_, dz, drho) in enumerate(shifts):
        found = read_ct_pd(tmp_path, matrix=64, subscan=subscan)
        expected, _ = rays_through_rod(found.geometry)
        assert found.line_integrals.shape[1] == 24 // len(shifts)
        assert found.geometry["source_mm"] == pytest.approx(595 + drho)
        assert np.linalg.norm(found.line_integrals[0] - expected) < 1e-4 * np.linalg.norm(expected)
        middle = dz * (1 - (595 + drho) / (1085 + drho))  # of the ray to the middle row, where it passes the axis
        assert found.affine[2, 3] + found.affine[2, 2] == pytest.approx(12.5 + middle, abs=1e-3)


def test_table_positions_become_one_stack_and_views_beyond_a_turn_are_dropped(tmp_path):
    row_mm = 2.0 * 595 / 1085
    first = scan(views=22, turn=2 * math.pi * 1.1)
    z_mm = np.repeat([12.5, 12.5 + 3 * row_mm], 22)
    twice = {"phi_rad": np.tile(first.phi_rad, 2), "rho_mm": np.tile(first.rho_mm, 2), "shift": np.tile(first.shift, (2, 1))}
    one = dataclasses.replace(first, z_mm=z_mm, **twice)
    values = views_of_rod(one)
    values[22:] *= 2
    write_ct_pd(one, values, tmp_path)
    found = read_ct_pd(tmp_path, matrix=64)
    assert found.line_integrals.shape[:2] == (6, 20)
    assert found.line_integrals[3:].max() == pytest.approx(2 * found.line_integrals[:3].max(), rel=1e-3)
    assert "2 table positions" in found.provenance["scan"]
    write_measurement(found, tmp_path / "m.h5")
    assert read_measurement(tmp_path / "m.h5").provenance["format"] == "DICOM-CT-PD"


def test_weights_are_the_photons_that_come_through(tmp_path):
    photons = np.tile(np.linspace(1e4, 3e4, 121), (24, 1))
    photons[:, 0] = 0
    one = scan(photons=photons, central=(2.0, 61.0))
    write_ct_pd(one, views_of_rod(one), tmp_path)
    found = read_ct_pd(tmp_path, matrix=64)
    through = found.weights / np.exp(-found.line_integrals)
    assert found.weights.min() == 0 and through[..., -1].max() == 0  # column 1 is the last bin: u runs against the columns
    middle = found.geometry["bins"] // 2
    assert through[0, 0, middle] == pytest.approx(2e4, rel=2e-3)
    assert through[0, 0, middle - 20] > through[0, 0, middle + 20]


def helix(*, views=60, turns=3, feed=9.0, rows=12, **changes):
    z_mm = -40 + feed * turns * np.arange(views) / views
    return scan(views=views, turn=2 * math.pi * turns, rows=rows, z_mm=z_mm, **changes)


def test_a_helical_scan_is_described_with_its_feed_and_pitch(tmp_path):
    write_ct_pd(helix(), np.zeros((60, 12, 121)), tmp_path)
    found = read_scan(tmp_path)
    assert found.is_helical
    assert found.feed_mm == pytest.approx(9.0)
    assert found.pitch == pytest.approx(9 / (12 * 2.0 * 595 / 1085))
    assert found.describe().startswith("60 views in 2.95 turns, helical, pitch 0.684, 12 x 121 elements")


@pytest.mark.parametrize("shape, backward", [("CYLINDRICAL", 1), ("FLAT", -1)])
def test_a_helix_around_a_rod_becomes_the_same_fan_beam_in_every_slice(tmp_path, shape, backward):
    one = helix(shape=shape, feed=backward * 9.0, photons=np.full((60, 121), 1e4))
    write_ct_pd(one, views_of_rod(one), tmp_path)
    found = read_ct_pd(tmp_path, matrix=64)
    expected, _ = rays_through_rod(found.geometry)
    assert found.line_integrals.shape[:2] == (len(found.line_integrals), 20)
    for part in found.line_integrals:
        assert np.linalg.norm(part - expected) < 2e-4 * np.linalg.norm(expected)
    assert np.allclose(found.weights, 1e4 * np.exp(-found.line_integrals), rtol=1e-4)
    row_mm = 2.0 * 595 / 1085
    assert found.grid.spacing_mm[2] == pytest.approx(row_mm)
    slices = found.grid.positions(np.array([[31.5, 31.5, k] for k in (0, len(found.line_integrals) - 1)]))[:, 2]
    low, high = sorted((-40, -40 + backward * 27 * 59 / 60))
    assert slices.mean() == pytest.approx((low + high) / 2, abs=0.15) and np.ptp(slices) > 27 - 9 - 2 * row_mm


@pytest.mark.parametrize("mode, shifts", [("FFSNONE", [(0, 0, 0)]), ("FFSZ", [(0, 0.4, 0.2), (0, -0.4, -0.2)])])
def test_a_ball_in_a_helix_keeps_its_place_and_height(tmp_path, mode, shifts):
    one = helix(views=48 * len(shifts), focal_spot=mode, shift=np.tile(shifts, (48, 1)))
    write_ct_pd(one, views_of_ball(one, middle_mm=-27.0), tmp_path)
    found = read_ct_pd(tmp_path, matrix=64, slice_mm=0.8, subscan=len(shifts) - 1)
    flat, _ = rays_through_rod(found.geometry)
    z_mm = found.grid.positions(np.array([[31.5, 31.5, k] for k in range(len(found.line_integrals))]))[:, 2]
    expected = flat * np.exp(-((z_mm + 27.0) ** 2) / (2 * WIDTH**2))[:, None, None]
    assert np.linalg.norm(found.line_integrals - expected) < 0.01 * np.linalg.norm(expected)
    amount = found.line_integrals.sum(axis=(1, 2))
    fitted = np.polyfit(z_mm, np.log(amount), 2)
    assert -fitted[1] / (2 * fitted[0]) == pytest.approx(-27.0, abs=0.05)  # the middle of the ball, along z
    assert math.sqrt(-1 / (2 * fitted[0])) == pytest.approx(WIDTH, rel=0.01)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"feed": 40.0}, r"found pitch 3\.04, for which rays pass the detector by 12\.9 rows, expected at most 1"),
        ({"turns": 1.3}, r"found 60 views, 1\.28 turns, expected more than one and a half turns"),
        ({"turns": 3.1}, r"found angles that differ by 0\.\d+ rad from turn to turn, expected them to repeat"),
        ({"shape": "SPHERICAL"}, r"DetectorShape: found SPHERICAL, expected CYLINDRICAL or FLAT"),
    ],
)
def test_a_helix_that_cannot_be_rebinned_is_refused(tmp_path, changes, message):
    one = helix(**changes)
    write_ct_pd(one, np.zeros((len(one.phi_rad), 12, 121)), tmp_path)
    with pytest.raises(DataError, match=message):
        read_ct_pd(tmp_path, matrix=32)


def test_the_middle_rows_alone_are_taken_where_others_are_too_steep(tmp_path):
    one = scan(rows=30, element_mm=(2.5, 2.4), views=8)
    write_ct_pd(one, views_of_rod(one), tmp_path)
    with pytest.raises(DataError, match=r"found rows whose rays rise by 0\.0334 rad, expected at most 0\.02.*middle 18 rows"):
        read_ct_pd(tmp_path)
    found = read_ct_pd(tmp_path, matrix=32, rows=18)
    assert len(found.line_integrals) == 18
    assert found.grid.positions(np.array([[15.5, 15.5, 8.5]]))[0] == pytest.approx((0, 0, 12.5), abs=1e-4)


def changed(folder, *, view=1, **elements):
    path = folder / f"{view + 1:05d}.dcm"
    header = pydicom.dcmread(path)
    for keyword, found in elements.items():
        if keyword.startswith("tag_"):
            tag = pydicom.tag.Tag(int(keyword[4:8], 16), int(keyword[8:12], 16))
            if found is None:
                del header[tag]
            else:
                header[tag].value = found
        else:
            setattr(header, keyword, found)
    header.save_as(path)


@pytest.mark.parametrize(
    "where, elements, message",
    [
        (1, {"tag_70311001": None}, r"InstanceNumber: found 3 views without 2, expected all"),
        (0, {"tag_70391009": "NO"}, r"LogFlag: found 'NO', expected YES\. These are intensities"),
        (0, {"tag_7029100B": "ROUND"}, r"DetectorShape: found 'ROUND', expected CYLINDRICAL or FLAT"),
        (0, {"tag_7033100E": "FFSQ"}, r"FlyingFocalSpotMode: found 'FFSQ', expected FFSNONE or FFSZ"),
        (0, {"tag_70311031": 0.5}, r"00002\.dcm: ConstantRadialDistance: found 1085, expected 0\.5"),
        (
            2,
            {"tag_70311003": 600.0},
            r"RadialDistance: found 595 to 600, expected one distance below ConstantRadialDistance, 1085",
        ),
        (2, {"tag_70311001": math.nan}, r"00003\.dcm: \(7031,1001\) DetectorFocalCenterAngularPosition: found 1 numbers"),
        (1, {"tag_70311001": 90.0}, r"AngularPosition: found 90, expected rad up to 4 pi\. Convert degrees"),
        (1, {"tag_70291010": 60000, "tag_70291011": 60000}, r"found 121 x 3 pixels for 60000 columns and 60000 rows"),
        (1, {"Rows": 60000, "Columns": 60000}, r"expected"),
        (1, {"InstanceNumber": 1}, r"InstanceNumber: found 4 views without 2"),
        (1, {"SeriesInstanceUID": "1.2.3"}, r"found 2 series of projections, expected one"),
        (0, {"PatientPosition": "HFDL"}, r"PatientPosition: found 'HFDL', expected HFS"),
        (0, {"tag_70311033": [10.0, 2.0]}, r"DetectorCentralElement: found 10 of 121 columns, expected the middle"),
    ],
)
def test_a_wrong_header_is_refused_with_file_field_found_and_expected(tmp_path, where, elements, message):
    write_ct_pd(scan(views=4), views_of_rod(scan(views=4)), tmp_path)
    changed(tmp_path, view=where, **elements)
    with pytest.raises(DataError, match=message):
        read_ct_pd(tmp_path, matrix=32)


def test_a_cut_file_or_a_folder_without_projections_is_refused(tmp_path):
    write_ct_pd(scan(views=4), views_of_rod(scan(views=4)), tmp_path / "s")
    path = tmp_path / "s" / "00002.dcm"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"00002\.dcm.*(cut|bytes|ends)"):
        read_ct_pd(tmp_path / "s")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: found 0 DICOM-CT-PD files, expected at least 2"):
        read_ct_pd(tmp_path / "empty")


@pytest.mark.parametrize("values", [np.zeros((4, 3, 120)), np.full((4, 3, 121), np.nan)])
def test_what_does_not_fit_the_scan_is_not_written(tmp_path, values):
    with pytest.raises(DataError, match=r"expected finite values of shape \(4, 3, 121\)"):
        write_ct_pd(scan(views=4), values, tmp_path)
    assert not list(tmp_path.iterdir())
