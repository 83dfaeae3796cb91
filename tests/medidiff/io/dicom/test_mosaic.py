"""Siemens mosaics: tiles become slices at the places that the CSA header gives them."""

import struct

import numpy as np
import pytest

from medidiff.io.dicom.mosaic import cut_tiles
from medidiff.io.dicom.series import read_series


def csa(**values) -> bytes:
    """A CSA2 header with these names and texts."""
    parts = [b"SV10\4\3\2\1" + struct.pack("<2L", len(values), 77)]
    for name, texts in values.items():
        parts.append(name.encode().ljust(64, b"\0") + struct.pack("<L", 1) + b"FD\0\0" + struct.pack("<3L", 0, len(texts), 77))
        for text in texts:
            content = text.encode() + b"\0"
            parts.append(
                struct.pack("<4L", len(content), len(content), 77, len(content))
                + content.ljust((len(content) + 3) // 4 * 4, b"\0")
            )
    return b"".join(parts)


def mosaic_of(truth):
    """A 4 x 4 mosaic of the 12 slices of a stack, placed as Siemens does: around the centre of the true slice."""
    header = truth.headers()[0]
    columns, rows, count = truth.shape
    image = np.zeros((4 * rows, 4 * columns))
    for k in range(count):
        image[k // 4 * rows : k // 4 * rows + rows, k % 4 * columns : k % 4 * columns + columns] = truth.values()[:, :, k].T
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    header.Rows, header.Columns = image.shape
    corner = truth.centre([(columns - 4 * columns) / 2, (rows - 4 * rows) / 2, 0])
    header.ImagePositionPatient = [f"{x:.8f}"[:16] for x in corner]
    header.SpacingBetweenSlices = truth.spacing[2]
    header.PixelData = np.round((image - 10) / truth.slope).astype("<i2").tobytes()
    normal = np.cross(truth.axes[:, 0], truth.axes[:, 1])
    block = header.private_block(0x29, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa(NumberOfImagesInMosaic=["12"], SliceNormalVector=[f"{x:.10f}" for x in normal]))
    return header


def test_tiles_are_the_slices_of_the_volume(stack, save, series_in, tmp_path):
    truth = stack(modality="MR")
    save(tmp_path, [mosaic_of(truth)])

    (series,) = series_in(tmp_path)

    assert series.usable, series.reason
    volume = read_series(series)
    np.testing.assert_allclose(volume.affine, truth.ras(), atol=1e-4)
    assert np.abs(volume.array - truth.values()).max() < 0.0011


def test_several_mosaics_are_a_dynamic_series(stack, save, series_in, tmp_path):
    first, second = mosaic_of(stack(modality="MR")), mosaic_of(stack(modality="MR", offset=41.0))
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    second.AcquisitionNumber = 2
    save(tmp_path, [first, second])

    (series,) = series_in(tmp_path)

    assert not series.usable and "12 of 12 positions hold 2 different images" in series.reason


@pytest.mark.parametrize("damage", ["none", "cut", "zero", "sideways"])
def test_mosaic_without_its_layout_is_refused(stack, save, series_in, tmp_path, damage):
    header = mosaic_of(stack(modality="MR"))
    whole = header[0x29, 0x1010].value
    values = dict(NumberOfImagesInMosaic=["0"], SliceNormalVector=["0", "0", "1"])
    blocks = {
        "none": b"",
        "cut": whole[:150],
        "zero": csa(**values),
        "sideways": csa(**values | {"NumberOfImagesInMosaic": ["12"]}),
    }
    header[0x29, 0x1010].value = blocks[damage]
    save(tmp_path, [header])

    (series,) = series_in(tmp_path)

    assert not series.usable and "CSA header does not say" in series.reason


def test_tiles_are_cut_row_by_row():
    image = np.arange(6 * 8).reshape(6, 8)
    tiles = cut_tiles(image, (3, 2))
    assert tiles.shape == (8, 3, 2)
    assert np.array_equal(tiles[5], image[3:6, 2:4])
