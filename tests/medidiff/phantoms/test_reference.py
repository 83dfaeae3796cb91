import numpy as np
import SimpleITK as sitk

from medidiff.io.nifti import read_nifti
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.reference import write_reference


def test_simpleitk_reads_every_volume_in_place(written, tmp_path):
    patient = written(turn_deg=(7, -11, 13))[0]
    paths = write_reference(patient, tmp_path)
    assert [p.name for p in paths][-3:] == ["reader_01.nii.gz", "reader_02.nii.gz", "reader_03.nii.gz"] and len(paths) == 8
    for name, volume in (("pet", patient.pet), ("truth_ct", patient.truth_ct), ("reader_02", patient.annotations[1])):
        image = sitk.ReadImage(tmp_path / f"{name}.nii.gz")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, volume.array)
        expected = np.diag([-1, -1, 1, 1]) @ volume.affine @ [5, 7, 9, 1]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((5, 7, 9)), expected[:3], atol=1e-3)


def test_the_probability_file_is_the_mean_of_the_readers_within_its_error(small, tmp_path):
    patient = make_patient(small(annotators=50, noise=False))
    write_reference(patient, tmp_path)
    exact = read_nifti(tmp_path / "probability.nii.gz").array
    readers = np.stack([read_nifti(tmp_path / f"reader_{n:02d}.nii.gz").array > 0 for n in range(1, 51)])
    off = readers.mean(axis=0) - exact
    unsure = (exact > 0.05) & (exact < 0.95)
    assert unsure.sum() > 20 and np.abs(off[unsure]).max() < 4 * np.sqrt(0.25 / 50) and abs(off[unsure].mean()) < 0.15
    assert not readers[:, exact == 0].any()


def test_a_tilted_ct_has_no_mask_file_but_an_image(written, tmp_path):
    patient = written(turn_deg=(7, -11, 13), tilt_deg=-14.0)[0]
    names = {path.name for path in write_reference(patient, tmp_path)}
    assert "truth_ct.nii.gz" not in names and "truth_pet.nii.gz" in names
    np.testing.assert_allclose(read_nifti(tmp_path / "ct.nii.gz").affine, patient.ct.affine, atol=1e-4)
