"""A PET series as SUV by body weight."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.dicom.enhanced_pet import classic_headers
from medidiff.io.dicom.grouping import Series
from medidiff.io.dicom.series import read_series
from medidiff.io.dicom.suv import Suv, suv_factors
from medidiff.io.dicom.suv_reference import Reference
from medidiff.io.volume import Volume


def read_suv(
    series: Series,
    *,
    root: Path | None = None,
    reference: Reference = "auto",
    overrides: Mapping[str, float] | None = None,
) -> tuple[Volume, Suv]:
    """SUV by body weight of a usable PET series, and how it was computed.

    series       from `find_petct` or `find_pet`
    root         folder to which messages relate file names
    reference    which time the activity refers to, see `suv_factors`
    overrides    SUV values stated by the user, see `suv_factors`
    returns      array[i, j, k] float32, g/ml; `Suv` with one factor for each k

    The headers are judged before any pixel is read. Raises DataError as `suv_factors` and `read_series` do.
    """
    try:
        suv = suv_factors(slice_headers(series), reference=reference, overrides=overrides)
    except DataError as error:
        raise DataError(f"{series.planes[0].name} and the other slices of the series: {error}") from error
    volume = read_series(series, root=root)
    return volume.with_array(np.multiply(volume.array, suv.factors, dtype=np.float32, casting="same_kind")), suv


def slice_headers(series: Series) -> list[Dataset]:
    """One classic header for each slice, in the order of the slices; frames of enhanced files become headers."""
    frames = {path: classic_headers([header]) for path, header in zip(series.paths, series.headers)}
    return [frames[plane.path][plane.frame] for plane in series.planes]
