"""Which images can be slices of a volume at all."""

from pydicom.dataset import Dataset

from medidiff.io.dicom.fields import text, value
from medidiff.io.dicom.multiframe import is_enhanced

READABLE = ("CT", "PT", "MR")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CLASS_OF = {  # modality of the storage classes of slices and volumes
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.128.1": "PT",
    "1.2.840.10008.5.1.4.1.1.130": "PT",
}
_PROJECTIONS = {
    "LOCALIZER": "a localiser",
    "SCOUT": "a localiser",
    "MIP": "a maximum-intensity projection",
    "MAX_IP": "a maximum-intensity projection",
    "PROJECTION IMAGE": "a projection",
    "SCREEN SAVE": "a screen shot",
}


def kind_problem(header: Dataset, count: int) -> str:
    """Why images with such a header are no slices of a volume; "" when they may be.

    header    of one of them
    count     how many there are, for the message
    """
    modality, sop_class = text(header, "Modality"), text(header, "SOPClassUID")
    image_type = [part.upper() for part in text(header, "ImageType").split("\\")]
    images = f"{count} image{'s' * (count > 1)}"
    if sop_class == _SECONDARY_CAPTURE or sop_class.startswith(_SECONDARY_CAPTURE + "."):
        return f"a secondary capture ({images}): a picture of a screen or page, not measured slices. Choose the original series."
    for word, meaning in _PROJECTIONS.items():
        if word in image_type:
            return f"{meaning} ({images}, ImageType {word}), not slices of a volume. Choose the original series."
    if modality not in READABLE:
        return f"modality {modality or 'missing'} ({images}); expected CT, PT or MR. Choose another series."
    if CLASS_OF.get(sop_class, modality) != modality:
        meant = CLASS_OF[sop_class]
        return f"Modality says {modality}, SOPClassUID says {meant} ({images}). The headers are wrong; export the series again."
    colour = text(header, "PhotometricInterpretation")
    if colour not in ("", "MONOCHROME1", "MONOCHROME2"):
        return f"colour images ({images}, {colour}); expected grey values. Choose the original series."
    frames = text(header, "NumberOfFrames")
    if frames not in ("", "0", "1") and not is_enhanced(header):
        return (
            f"{frames} frames in one file without their positions; expected an enhanced object. Export one file for each slice."
        )
    if value(header, "StudyInstanceUID") is None or value(header, "SeriesInstanceUID") is None:
        return f"no StudyInstanceUID or SeriesInstanceUID ({images}). Export the series again."
    return ""
