"""NIfTI files, changed field by field of their header, and their gzip streams."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.robustness.mutation import ANY, READ, REFUSED, Mutation, Random, files_of

FIELDS = {  # offset and type in the header of 348 bytes
    "dim": (40, "<8h"),
    "datatype": (70, "<h"),
    "bitpix": (72, "<h"),
    "pixdim": (76, "<8f"),
    "vox_offset": (108, "<f"),
    "scl_slope": (112, "<f"),
    "scl_inter": (116, "<f"),
    "xyzt_units": (123, "<B"),
    "qform_code": (252, "<h"),
    "sform_code": (254, "<h"),
    "quatern": (256, "<3f"),
    "qoffset": (268, "<3f"),
    "srow": (280, "<12f"),
    "magic": (344, "<4s"),
}
Edit = Callable[[bytearray], bytes]


def in_stream(name: str, expect: str, edit: Edit) -> Mutation:
    """The edit in the uncompressed bytes of one file."""

    def change(folder: Path, random: Random) -> None:
        files = [path for path in files_of(folder) if path.name.endswith((".nii", ".nii.gz"))]
        path = files[random.integers(len(files))]
        content = path.read_bytes()
        is_packed = content[:2] == b"\x1f\x8b"
        edited = edit(bytearray(gzip.decompress(content) if is_packed else content))
        path.write_bytes(gzip.compress(edited, mtime=0) if is_packed else edited)

    return Mutation(name, expect, change)


def field(name: str, value: object, expect: str = REFUSED) -> Mutation:
    """One field of the header says something else; a function gets what it says."""
    offset, kind = FIELDS[name]

    def edit(content: bytearray) -> bytes:
        before = struct.unpack_from(kind, content, offset)
        after = value(before) if callable(value) else value if isinstance(value, tuple) else (value,)
        struct.pack_into(kind, content, offset, *after)
        return bytes(content)

    shown = "changed" if callable(value) else value
    return in_stream(f"{name} {shown}", expect, edit)


def _in(place: int, change: Callable[[float], float]) -> Callable[[tuple], tuple]:
    return lambda before: tuple(change(x) if k == place else x for k, x in enumerate(before))


def _other_order(content: bytearray) -> bytes:
    import io

    import nibabel

    image = nibabel.Nifti1Image.from_bytes(bytes(content))
    header = image.header.as_byteswapped(">")
    header["vox_offset"] = 352
    stream = io.BytesIO()
    values = np.asarray(image.dataobj.get_unscaled())
    stream.write(header.binaryblock + b"\0" * 4 + values.astype(values.dtype.newbyteorder(">")).tobytes(order="F"))
    return stream.getvalue()


def _not_finite(value: float) -> Edit:
    def edit(content: bytearray) -> bytes:
        struct.pack_into("<2h", content, 70, 16, 32)  # float32
        count = int(np.prod(struct.unpack_from("<8h", content, 40)[1:4]))

        values = np.zeros(count, "<f4")
        values[count // 2] = value
        return bytes(content[:352]) + values.tobytes()

    return edit


def _bomb(folder: Path, random: Random) -> None:
    """A header that claims what the stream then gives: 600 MB of zeros in less than one."""
    files = [path for path in files_of(folder) if path.name.endswith(".nii.gz")]
    path = files[0]
    content = bytearray(gzip.decompress(path.read_bytes())[:352])
    struct.pack_into("<8h", content, 40, 3, 1000, 1000, 300, 1, 1, 1, 1)
    struct.pack_into("<2h", content, 70, 4, 16)
    with gzip.GzipFile(path, "wb", compresslevel=9, mtime=0) as stream:
        stream.write(bytes(content))
        for _ in range(143):
            stream.write(bytes(1 << 22))


def _two_members(content: bytearray) -> bytes:
    return bytes(content) + bytes(content)


HEADER = (
    field("dim", (3, 30000, 30000, 30000, 1, 1, 1, 1)),
    field("dim", (3, -4, 5, 6, 1, 1, 1, 1)),
    field("dim", (0, 0, 0, 0, 0, 0, 0, 0)),
    field("dim", (7, 1, 1, 1, 1, 1, 1, 1)),
    field("dim", lambda before: (4, *before[1:4], 2, 1, 1, 1)),
    field("dim", lambda before: (*before[:1], before[2] + 1, before[1], *before[3:])),
    field("datatype", 64),
    field("datatype", 1792),
    field("datatype", 9999),
    field("bitpix", 64),
    field("vox_offset", -352.0),
    field("vox_offset", 1e30),
    field("vox_offset", float("nan")),
    field("vox_offset", 353.0),
    field("scl_slope", float("inf")),
    field("scl_inter", float("nan")),
    field("xyzt_units", 1),
    field("xyzt_units", 3),
    field("xyzt_units", 7),
    field("qform_code", 0, READ),
    field("sform_code", -3),
    field("sform_code", 900),
    field("srow", (0.0,) * 12),
    field("srow", (float("nan"),) * 12),
    field("srow", _in(3, lambda x: x + 5)),
    field("srow", _in(0, lambda x: -x)),
    field("srow", _in(5, lambda x: x * 1.1)),
    field("srow", lambda before: (*before[4:8], *before[:4], *before[8:])),
    field("qoffset", _in(2, lambda x: x - 4)),
    field("quatern", (0.7, 0.7, 0.7)),
    field("pixdim", _in(3, lambda x: x * 2)),
    field("pixdim", _in(1, lambda x: -x)),
    field("pixdim", (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
    field("magic", b"ni1\0"),
    field("magic", b"\0\0\0\0"),
    in_stream("other byte order", READ, _other_order),
    in_stream("one voxel not a number", REFUSED, _not_finite(float("nan"))),
    in_stream("one voxel infinite", REFUSED, _not_finite(float("inf"))),
)
PACKED = (Mutation("gzip bomb", REFUSED, _bomb), in_stream("stream twice", REFUSED, _two_members))
LABELS = (field("scl_slope", 0.3, ANY),)
