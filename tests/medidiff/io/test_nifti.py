"""NIfTI files: values and places come back, damaged files never do."""

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK
from nibabel.eulerangles import euler2mat

from medidiff.errors import DataError, NumericsError
from medidiff.io.nifti import read_nifti, shear, write_nifti
from medidiff.io.volume import Volume

LPS = np.diag([-1.0, -1, 1, 1])


def oblique(spacing=(1.1, 0.9, 3.3), *, flip=1):
    """An oblique, anisotropic affine; flip -1 makes it left-handed."""
    affine = np.eye(4)
    affine[:3, :3] = euler2mat(0.3, -0.2, 0.5) @ np.diag(spacing) @ np.diag([1, 1, flip])
    affine[:3, 3] = -101.5, 37.25, 612.125
    return affine


def sheared(amount=0.2):
    affine = oblique()
    affine[:3, 2] += amount * 3.3 * affine[:3, 1] / np.linalg.norm(affine[:3, 1])
    return affine


def image(shape=(7, 6, 5), dtype=np.int16, affine=None):
    array = np.random.default_rng(1).integers(-1000, 3000, shape).astype(dtype)
    header = nibabel.Nifti1Image(array, oblique() if affine is None else affine, dtype=dtype)
    header.set_qform(header.affine, 1)
    header.set_sform(header.affine, 1)
    return header


def saved(tmp_path, nifti, name="a.nii.gz"):
    nibabel.save(nifti, tmp_path / name)
    return tmp_path / name


def patched(tmp_path, *, name="a.nii", nifti=None, **fields):
    """An uncompressed NIfTI whose header fields are overwritten after saving."""
    path = saved(tmp_path, nifti or image(), name)
    content = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
    for field, value in fields.items():
        header[field] = value
    content[:348] = header.binaryblock
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_values_and_affine_come_back_as_nibabel_reads_them(tmp_path, kind, name):
    nifti = kind.from_image(image(dtype=np.float32))
    volume = read_nifti(saved(tmp_path, nifti, name))
    assert np.array_equal(volume.array, nifti.get_fdata())
    assert np.allclose(volume.affine, nifti.affine, atol=1e-4)


def test_big_endian_files_are_read(tmp_path):
    nifti = nibabel.Nifti1Image.from_image(image())
    big = nibabel.Nifti1Image(np.asarray(nifti.dataobj), nifti.affine, nifti.header.as_byteswapped(">"))
    assert np.array_equal(read_nifti(saved(tmp_path, big, "b.nii")).array, nifti.get_fdata())


def test_slope_and_intercept_are_applied_in_float64(tmp_path):
    path = patched(tmp_path, scl_slope=0.37, scl_inter=-12.5)
    stored = image().get_fdata()
    assert np.array_equal(read_nifti(path).array, (stored * float(np.float32(0.37)) - 12.5).astype(np.float32))


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_written_volumes_lie_where_simpleitk_finds_them(tmp_path, flip, dtype):
    affine = oblique(flip=flip)
    volume = Volume(np.random.default_rng(2).integers(0, 200, (9, 8, 7)).astype(dtype), affine)
    write_nifti(volume, tmp_path / "w.nii.gz")
    seen = SimpleITK.ReadImage(str(tmp_path / "w.nii.gz"))
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * (np.array(volume.array.shape) - 1)
        expected = LPS[:3, :3] @ volume.grid.positions(index[None])[0]
        assert np.abs(seen.TransformIndexToPhysicalPoint(index.tolist()) - expected).max() <= 1e-3
    assert np.array_equal(SimpleITK.GetArrayFromImage(seen).T, volume.array)


def test_round_trip_keeps_the_affine_to_a_ten_thousandth_of_a_millimetre(tmp_path):
    volume = Volume(np.random.default_rng(3).normal(size=(30, 20, 40)).astype(np.float32), oblique())
    write_nifti(volume, tmp_path / "w.nii.gz")
    back = read_nifti(tmp_path / "w.nii.gz")
    assert back.grid.agrees_with(volume.grid, tolerance_mm=1e-4)
    assert np.array_equal(back.array, volume.array)


def test_equal_volumes_make_equal_bytes_without_any_text(tmp_path):
    volume = Volume(np.arange(60, dtype=np.float32).reshape(3, 4, 5), oblique())
    for name in ("one.nii.gz", "two.nii.gz"):
        write_nifti(volume, tmp_path / name)
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
    header = nibabel.load(tmp_path / "one.nii.gz").header
    assert all(bytes(header[field]).strip(b"\0") == b"" for field in ("descrip", "aux_file", "intent_name", "db_name"))
    assert (int(header["sform_code"]), int(header["qform_code"]), header.get_xyzt_units()[0]) == (1, 1, "mm")


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        (np.array([0, 1], bool), np.uint8),
        (np.array([0, 2], np.uint8), np.uint8),
        (np.array([-1024.0, 3071.0]), np.int16),
        (np.array([0.5, 3.0]), np.float32),
        (np.array([0, 40_000], np.int32), np.float32),
    ],
)
def test_the_smallest_exact_voxel_type_is_written(tmp_path, values, stored):
    write_nifti(Volume(values.reshape(2, 1, 1), oblique()), tmp_path / "w.nii")
    assert nibabel.load(tmp_path / "w.nii").get_data_dtype() == stored


def test_a_mask_on_a_sheared_grid_is_refused_and_an_image_keeps_its_shear(tmp_path):
    with pytest.raises(DataError, match=r"sheared by 0\.\d+.*orthonormal grid"):
        write_nifti(Volume(np.ones((3, 3, 3), np.uint8), sheared()), tmp_path / "m.nii.gz")
    assert not list(tmp_path.iterdir())
    volume = Volume(np.ones((3, 3, 3), np.float32), sheared())
    write_nifti(volume, tmp_path / "i.nii.gz")
    assert read_nifti(tmp_path / "i.nii.gz").grid.agrees_with(volume.grid)


def test_shear_is_the_distance_to_the_nearest_rotation():
    assert shear(oblique()) < 1e-12
    assert shear(oblique(flip=-1)) < 1e-12
    assert shear(sheared(1e-2)) == pytest.approx(5e-3, rel=0.5)


def test_a_mask_on_a_grid_with_rounded_positions_stays_readable_for_itk(tmp_path):
    volume = Volume(np.ones((60, 60, 50), np.uint8), sheared(5e-4))
    write_nifti(volume, tmp_path / "m.nii.gz")
    assert read_nifti(tmp_path / "m.nii.gz").grid.agrees_with(volume.grid)
    seen = SimpleITK.ReadImage(str(tmp_path / "m.nii.gz")).TransformIndexToPhysicalPoint([59, 59, 49])
    assert np.abs(LPS[:3, :3] @ volume.grid.positions(np.array([[59, 59, 49]]))[0] - seen).max() < 0.1


def test_whole_numbers_that_would_be_rounded_are_not_written(tmp_path):
    with pytest.raises(DataError, match=r"do not fit float32 exactly; renumber"):
        write_nifti(Volume(np.array([0, 2**24 + 1]).reshape(2, 1, 1), oblique()), tmp_path / "w.nii")


def test_nan_is_not_written(tmp_path):
    array = np.zeros((3, 3, 3), np.float32)
    array[1, 2, 0] = np.nan
    with pytest.raises(NumericsError, match=r"1 voxels are NaN or infinite, the first at index \(1, 2, 0\)"):
        write_nifti(Volume(array, oblique()), tmp_path / "w.nii.gz")


def test_other_suffixes_are_not_written(tmp_path):
    with pytest.raises(DataError, match=r"ends in \.nii\.gz or \.nii"):
        write_nifti(Volume(np.zeros((3, 3, 3)), oblique()), tmp_path / "w.img")


# --- affine ---------------------------------------------------------------------------------------------------------


def differing(tmp_path):
    nifti = image()
    other = nifti.affine.copy()
    other[0, 3] += 5
    nifti.set_qform(other, 1)
    return saved(tmp_path, nifti), nifti.affine, other


def test_differing_sform_and_qform_are_both_printed_and_refused(tmp_path):
    path, _, _ = differing(tmp_path)
    with pytest.raises(DataError, match=r"(?s)sform and qform differ.*-101\.5.*-96\.5.*prefer="):
        read_nifti(path)


def test_the_preferred_of_two_differing_affines_is_taken(tmp_path):
    path, sform, qform = differing(tmp_path)
    assert np.allclose(read_nifti(path, prefer="sform").affine, sform, atol=1e-4)
    assert np.allclose(read_nifti(path, prefer="qform").affine, qform, atol=1e-3)


def test_the_qform_counts_where_no_sform_is_set(tmp_path):
    nifti = image()
    nifti.set_sform(None, 0)
    assert np.allclose(read_nifti(saved(tmp_path, nifti)).affine, oblique(), atol=1e-4)


def test_an_affine_in_micrometres_or_metres_becomes_millimetres(tmp_path):
    for unit, factor in (("meter", 1000), ("micron", 0.001)):
        nifti = image(affine=np.diag([1 / factor, 1 / factor, 1 / factor, 1]) @ oblique())
        nifti.header.set_xyzt_units(unit)
        assert np.allclose(read_nifti(saved(tmp_path, nifti)).affine, oblique(), rtol=1e-5, atol=1e-3)


def with_srow(rows):
    return {f"srow_{axis}": row for axis, row in zip("xyz", rows)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sform_code": 0, "qform_code": 0}, "left and right are unknown"),
        ({**with_srow(np.zeros((3, 4))), "qform_code": 0}, "zero, singular or not finite"),
        ({**with_srow([[1, 2, 3, 0], [2, 4, 6, 0], [0, 0, 1, 0]]), "qform_code": 0}, "zero, singular or not finite"),
        ({"srow_y": [np.nan, 1, 0, 0]}, "zero, singular or not finite"),
        ({"srow_x": [np.inf, 1, 0, 0]}, "zero, singular or not finite"),
        ({"pixdim": [1, 0, 1, 1, 0, 0, 0, 0], "sform_code": 0}, "zero, singular or not finite"),
        ({"pixdim": [1, -1, 1, 1, 0, 0, 0, 0], "sform_code": 0}, "qform cannot be used"),
        ({"pixdim": [3, 1, 1, 1, 0, 0, 0, 0], "sform_code": 0}, "qform cannot be used"),
        ({"quatern_b": 1.5, "sform_code": 0}, "qform cannot be used"),
        ({"sform_code": -3}, "expected 0 to 5"),
        ({"xyzt_units": 5}, "xyzt_units is 5"),
        ({"dim": [3, -7, 6, 5, 1, 1, 1, 1]}, "expected three axes"),
        ({"dim": [2, 7, 6, 1, 1, 1, 1, 1]}, "expected three axes"),
        ({"dim": [9, 7, 6, 5, 1, 1, 1, 1]}, "expected three axes"),
        ({"dim": [4, 7, 6, 1, 5, 1, 1, 1]}, "holds 5 volumes"),
        ({"dim": [3, 7, 6, 50, 1, 1, 1, 1]}, "but the file has"),
        ({"dim": [3, 7, 6, 4, 1, 1, 1, 1]}, "but the file has"),
        ({"datatype": 77}, "datatype code 77 is unknown"),
        ({"datatype": 32, "bitpix": 64}, "voxels are .*complex64.*expected integers"),
        ({"bitpix": 8}, "bitpix is 8"),
        ({"vox_offset": 1e7}, "from byte 10000000 on"),
        ({"vox_offset": np.nan}, "vox_offset is nan"),
        ({"vox_offset": 100}, "vox_offset is 100"),
        ({"magic": b"ni1"}, "Convert an .hdr/.img pair"),
        ({"magic": b""}, "expected b'n.1"),
        ({"scl_slope": np.inf}, "scl_slope is inf"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "scl_inter nan"),
        ({"scl_slope": 3e38}, "voxels are NaN or infinite"),
    ],
)
def test_a_header_that_lies_is_one_clear_error(tmp_path, fields, message):
    with pytest.raises(DataError, match=message):
        read_nifti(patched(tmp_path, **fields))


def test_a_qfac_of_zero_is_read_as_one(tmp_path):
    path = patched(tmp_path, pixdim=[0, 1.1, 0.9, 3.3, 0, 0, 0, 0], sform_code=0)
    assert np.allclose(read_nifti(path).affine, oblique(), atol=1e-4)


def test_nan_voxels_are_counted_and_the_first_is_named(tmp_path):
    array = np.zeros((4, 5, 6), np.float64)
    array[2, 1, 3], array[3, 3, 3] = np.inf, np.nan
    path = saved(tmp_path, nibabel.Nifti1Image(array, oblique()))
    with pytest.raises(DataError, match=r"2 voxels are NaN or infinite, the first at index \(2, 1, 3\)"):
        read_nifti(path)


def test_a_single_fourth_axis_is_dropped(tmp_path):
    assert read_nifti(saved(tmp_path, image((4, 5, 6, 1)))).array.shape == (4, 5, 6)


def test_text_empty_and_absent_files_are_refused(tmp_path):
    for name, content in (("t.nii.gz", b"not an image, " * 100), ("e.nii.gz", b""), ("s.nii", b"\x5c\x01\0\0")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: not a NIfTI file"):
            read_nifti(tmp_path / name)
    with pytest.raises(DataError, match=r"absent\.nii: could not be read \(No such file"):
        read_nifti(tmp_path / "absent.nii")


# --- bombs and damage -----------------------------------------------------------------------------------------------


@pytest.fixture
def no_big_allocation(monkeypatch):
    """Arrays above 1 MB are our own mistake here."""
    empty = np.empty

    def checked(shape, *args, **kwargs):
        assert np.prod(shape, dtype=float) < 1e6, f"allocates {shape}"
        return empty(shape, *args, **kwargs)

    monkeypatch.setattr("medidiff.io.nifti.np.empty", checked)


def claiming(shape, dtype=np.float64):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    header.set_sform(oblique(), 1)
    return header.binaryblock + b"\0" * 4


def test_75_bytes_that_claim_8_gigabytes_are_refused_before_allocation(tmp_path, no_big_allocation):
    path = tmp_path / "lie.nii.gz"
    path.write_bytes(gzip.compress(claiming((1000, 1000, 1000))))
    with pytest.raises(DataError, match=r"claims 8000 MB of voxels.*more than the limit of 2147 MB"):
        read_nifti(path)
    with pytest.raises(DataError, match=r"more than \d+ compressed bytes can hold"):
        read_nifti(path, max_bytes=2**40)


def test_a_gzip_bomb_is_refused_before_allocation(tmp_path, no_big_allocation):
    path = tmp_path / "bomb.nii.gz"
    zeros = gzip.compress(bytes(2**24))  # gzip members may follow one another
    path.write_bytes(gzip.compress(claiming((512, 512, 1088), np.uint8)) + 17 * zeros)
    with pytest.raises(DataError, match="refused as a bomb"):
        read_nifti(path)


def test_an_empty_mask_of_half_a_metre_is_not_taken_for_a_bomb(tmp_path):
    volume = Volume(np.zeros((512, 512, 64), np.uint8), oblique())
    write_nifti(volume, tmp_path / "empty.nii.gz")
    assert volume.array.nbytes / (tmp_path / "empty.nii.gz").stat().st_size < 300


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.999])
def test_a_cut_gzip_file_is_refused(tmp_path, share):
    path = saved(tmp_path, image((20, 20, 20)))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"gzip stream is cut or altered|compressed bytes can hold"):
        read_nifti(path)


def test_a_file_with_bytes_after_its_voxels_is_refused(tmp_path):
    path = saved(tmp_path, image())
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\0"))
    with pytest.raises(DataError, match="bytes follow the last voxel"):
        read_nifti(path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-2]))
    with pytest.raises(DataError, match="419 of 420 voxel bytes are there"):
        read_nifti(path)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    content, where = bytearray(content), int(rng.integers(len(content)))
    kind = rng.integers(4)
    if kind == 0:
        content[where] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        content[where : where + 8] = rng.integers(0, 256, len(content[where : where + 8]), np.uint8).tobytes()
    elif kind == 2:
        del content[where:]
    else:
        content[where:where] = rng.integers(0, 256, 5, np.uint8).tobytes()
    return bytes(content)


def test_200_altered_gzip_files_are_refused_or_read_unaltered(tmp_path):
    path, rng = tmp_path / "m.nii.gz", np.random.default_rng(7)
    write_nifti(Volume(rng.normal(size=(12, 11, 10)).astype(np.float32), oblique()), path)
    whole, content = read_nifti(path), path.read_bytes()
    refused = 0
    for _ in range(200):
        path.write_bytes(mutated(content, rng))
        try:
            volume = read_nifti(path)
        except DataError as error:
            assert "m.nii.gz: " in str(error)
            refused += 1
        else:  # only the name and time in the gzip header carry nothing
            assert np.array_equal(volume.array, whole.array)
            assert np.array_equal(volume.affine, whole.affine)
    assert refused >= 190


def test_200_altered_headers_are_refused_or_read_as_nibabel_reads_them(tmp_path):
    path, rng = tmp_path / "m.nii", np.random.default_rng(8)
    content = saved(tmp_path, image(), "m.nii").read_bytes()
    refused = 0
    for _ in range(200):
        path.write_bytes(mutated(content[:348], rng) + content[348:])
        try:
            volume = read_nifti(path)
        except DataError:
            refused += 1
        else:
            seen = nibabel.load(path)
            assert np.array_equal(volume.array, seen.get_fdata().astype(np.float32))
            scale = {"meter": 1000, "micron": 0.001}.get(seen.header.get_xyzt_units()[0], 1)
            assert np.allclose(volume.affine[:3], scale * seen.affine[:3])
    assert refused >= 80


@pytest.mark.realdata
def test_real_files_are_read_as_nibabel_reads_them(mirror):
    files = sorted(mirror.glob("petct_sts/nifti*/STS_00[28]/*.nii.gz"))
    assert len(files) == 16
    for file in files:
        volume, seen = read_nifti(file), nibabel.load(file)
        assert np.array_equal(volume.array, seen.get_fdata().astype(volume.array.dtype))
        assert np.array_equal(volume.affine, seen.affine)
