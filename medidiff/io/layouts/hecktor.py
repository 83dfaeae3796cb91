"""Folders of HECKTOR, head and neck tumours in PET/CT: 2021, 2022 and 2025."""

from pathlib import Path

from medidiff.io.layouts.segmentation import SegmentationCase, existing, listed

_END = ".nii.gz"


def list_hecktor2021(folder: Path) -> list[SegmentationCase]:
    """Every `<ID>_ct.nii.gz` below the folder with `<ID>_pt.nii.gz` and `<ID>_gtvt.nii.gz` (1: primary tumour).

    Raises DataError where there is none.
    """
    folder = Path(folder)
    cases = [
        _case(ct.name.removesuffix("_ct" + _END), ct, "_pt", existing(ct.with_name(ct.name.replace("_ct.", "_gtvt."))))
        for ct in folder.rglob("*_ct" + _END)
        if not ct.name.endswith("__ct" + _END)
    ]
    return listed(cases, folder, "files such as hecktor_nii/CHUM001_ct.nii.gz")


def list_hecktor2022(folder: Path) -> list[SegmentationCase]:
    """Every `images*/<ID>__CT.nii.gz` with `<ID>__PT.nii.gz` and `labels*/<ID>.nii.gz` (1: primary tumour, 2: nodes).

    The split is that of the folder, imagesTr or imagesTs. Raises DataError where there is none.
    """
    folder = Path(folder)
    cases = []
    for ct in folder.rglob("images*/*__CT" + _END):
        name, part = ct.name.removesuffix("__CT" + _END), ct.parent.name.removeprefix("images")
        truth = existing(ct.parents[1] / f"labels{part}" / f"{name}{_END}")
        cases.append(_case(name, ct, "__PT", truth, {"Tr": "train", "Ts": "test"}.get(part, "")))
    return listed(cases, folder, "files such as imagesTr/CHUM-001__CT.nii.gz")


def list_hecktor2025(folder: Path) -> list[SegmentationCase]:
    """Every `<ID>/<ID>__CT.nii.gz` below the folder, as in `Task 1`, with `<ID>__PT.nii.gz` and the labels `<ID>.nii.gz`.

    Labels, and predictions, lie on the grid of the CT. Raises DataError where there is none.
    """
    folder = Path(folder)
    cases = []
    for ct in folder.rglob("*__CT" + _END):
        name = ct.name.removesuffix("__CT" + _END)
        if ct.parent.name == name:
            cases.append(_case(name, ct, "__PT", existing(ct.with_name(name + _END))))
    return listed(cases, folder, "files such as Task 1/CHUM-001/CHUM-001__CT.nii.gz")


def _case(name: str, ct: Path, pet_mark: str, truth: Path | None, split: str = "") -> SegmentationCase:
    return SegmentationCase(name, name, ct, existing(ct.with_name(f"{name}{pet_mark}{_END}")), truth, split)
