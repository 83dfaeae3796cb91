"""The XML header of ISMRMRD, which fastMRI files carry too; document types, and so entities, are refused."""

import math
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from medidiff.errors import DataError

LARGEST_BYTES = 4 << 20
LARGEST_MATRIX = 1 << 14
SMALLEST_MM, LARGEST_MM = 0.1, 10_000.0  # fields of view


@dataclass(frozen=True)
class Encoding:
    """How k-space was sampled, of the first encoding of a file.

    encoded, recon         x, y, z   matrix of k-space, and of the images that the scanner makes
    encoded_mm, recon_mm   x, y, z   their fields of view
    first_column                     column of kspace_encode_step_1 = 0; x runs along rows
    last_step                        largest kspace_encode_step_1; None: not stated
    trajectory                       cartesian, radial, ...
    embeds_calibration               whether lines for calibration belong to the same k-space
    noise_bandwidth                  of the receiver, over that of the samples
    """

    encoded: tuple[int, int, int]
    recon: tuple[int, int, int]
    encoded_mm: tuple[float, float, float]
    recon_mm: tuple[float, float, float]
    first_column: int
    last_step: int | None
    trajectory: str
    embeds_calibration: bool
    noise_bandwidth: float

    @property
    def kept_rows(self) -> int:
        """Rows of k-space whose image is the field of view of the scanner's images, so without oversampling of the readout."""
        return min(self.encoded[0], round(self.encoded[0] * self.recon_mm[0] / self.encoded_mm[0]))

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Distances between columns, rows and slices of the encoded grid."""
        x, y, z = (length / count for length, count in zip(self.encoded_mm, self.encoded))
        return y, x, z


def read_encoding(xml: str | bytes, *, name: str) -> Encoding:
    """The first encoding of an ISMRMRD header.

    Raises DataError, which names file, field, found and expected, for XML that is damaged, larger than 4 MB or has a document
    type, and for matrices and fields of view that are missing or make no sense.
    """
    root = _parsed(xml, name=name)
    matrices = [_triple(root, f"encoding/{space}/matrixSize", name=name) for space in ("encodedSpace", "reconSpace")]
    fields = [_triple(root, f"encoding/{space}/fieldOfView_mm", name=name) for space in ("encodedSpace", "reconSpace")]
    encoded, recon = (tuple(int(count) for count in matrix) for matrix in matrices)
    if max(*encoded, *recon) > LARGEST_MATRIX or min(*encoded, *recon) < 1:
        raise DataError(f"{name}: matrixSize: found {encoded} and {recon}, expected 1 to {LARGEST_MATRIX}. Export it again.")
    if min(min(field) for field in fields) < SMALLEST_MM or max(max(field) for field in fields) > LARGEST_MM:
        raise DataError(
            f"{name}: fieldOfView_mm: found {fields[0]} and {fields[1]}, expected {SMALLEST_MM:g} to {LARGEST_MM:g}."
            " Export it again."
        )
    if encoded[0] * fields[1][0] < 2 * fields[0][0]:
        raise DataError(f"{name}: fieldOfView_mm: found {fields[1][0]:g} of {fields[0][0]:g} mm along rows, expected more rows.")
    limits = "encoding/encodingLimits/kspace_encoding_step_1/"
    centre = _number(root, limits + "center", name=name, default=encoded[1] // 2)
    last = _number(root, limits + "maximum", name=name, default=-1)
    if not 0 <= centre <= LARGEST_MATRIX or last > LARGEST_MATRIX:
        raise DataError(
            f"{name}: encodingLimits: found centre {centre:g} and maximum {last:g}, expected 0 to {LARGEST_MATRIX}."
            " Export it again."
        )
    bandwidth = _number(root, "acquisitionSystemInformation/relativeReceiverNoiseBandwidth", name=name, default=1.0)
    return Encoding(
        encoded,
        recon,
        *fields,
        first_column=encoded[1] // 2 - int(centre),
        last_step=int(last) if last >= 0 else None,
        trajectory=_text(root, "encoding/trajectory").lower() or "cartesian",
        embeds_calibration=_text(root, "encoding/parallelImaging/calibrationMode").lower() in ("", "embedded"),
        noise_bandwidth=bandwidth if bandwidth > 0 else 1.0,
    )


class _Refusing(TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise _HasDoctype


class _HasDoctype(Exception):
    """The XML opens a document type, in which entities could be declared."""


def _parsed(xml: str | bytes, *, name: str) -> Element:
    if len(xml) > LARGEST_BYTES:
        raise DataError(f"{name}: header: found {len(xml)} bytes of XML, expected at most {LARGEST_BYTES}. Export it again.")
    parser = XMLParser(target=_Refusing())
    try:
        parser.feed(xml)
        return parser.close()
    except _HasDoctype:
        raise DataError(
            f"{name}: header: found a document type declaration, expected none in ISMRMRD. Is the file from a source you trust?"
        ) from None
    except (ParseError, ValueError) as error:
        raise DataError(f"{name}: header: found XML that cannot be read ({error}), expected ISMRMRD. Copy it again.") from error


def _text(root: Element, path: str) -> str:
    found = root.find("/".join(f"{{*}}{part}" for part in path.split("/")))
    return (found.text or "").strip() if found is not None else ""


def _number(root: Element, path: str, *, name: str, default: float | None = None) -> float:
    text = _text(root, path)
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{name}: header, {path}: found {text[:20]!r}, expected a finite number. Export it again.")
    return value


def _triple(root: Element, path: str, *, name: str) -> tuple[float, float, float]:
    found = tuple(_number(root, f"{path}/{axis}", name=name) for axis in "xyz")
    if min(found) <= 0:
        raise DataError(f"{name}: header, {path}: found {found}, expected positive numbers. Export it again.")
    return found
