"""One simulated scan: the object, its measurement, and the reference that no solver may see."""

from pathlib import Path

from medidiff.acquisition.ct import measure_ct
from medidiff.acquisition.mr import measure_mr
from medidiff.acquisition.settings import ScanSettings
from medidiff.acquisition.source import fine_object
from medidiff.errors import ConfigError
from medidiff.io.measurement import KSpace, Projections
from medidiff.io.volume import Volume


def simulate(scan: ScanSettings, path: Path | None = None) -> tuple[Projections | KSpace, Volume]:
    """The measurement of a scan, and the object on the grid to reconstruct: HU, or MR magnitude.

    scan   the source, the grid and the acquisition
    path   NIfTI file or DICOM folder, for a source that is not generated

    Raises DataError for an unreadable source, ConfigError for a geometry or mask that cannot be.
    """
    fine = fine_object(scan, path)
    try:
        return measure_ct(fine, scan) if scan.ct else measure_mr(fine, scan)
    except ValueError as error:
        raise ConfigError(f"studies.scans: {error}") from error
