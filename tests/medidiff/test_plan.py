"""Which studies enter the workflow, and what it makes of a scan."""

import pytest

from medidiff import plan
from medidiff.config import load
from medidiff.errors import ConfigError
from medidiff.studies import Study

CT = {"ct": {"views": 8}}


def configuration(**studies):
    return load({"seed": 3, "studies": studies, "reconstruct": {"ct": {"methods": ["fbp", "tv"]}, "mr": {"methods": ["tv"]}}})


def test_a_scan_is_simulated_reconstructed_by_every_method_of_its_kind_and_compared():
    config = configuration(scans={"C": CT, "M": {"source": "mni152", "mr": {}}})
    steps = [(job.step, job.study, job.method) for job in plan.jobs(config, plan.studies_of(config))]
    assert next(step for step in steps if step[1] == "C") == ("simulate", "C", "")
    assert {(step, method) for step, study, method in steps if study == "C" and method} == {
        (step, method) for step in STEPS for method in ("fbp", "tv")
    }
    assert [method for step, study, method in steps if study == "M" and step == "reconstruct"] == ["tv"]


STEPS = ("reconstruct", "series", "compare")


def test_raw_data_without_a_reference_are_not_compared(tmp_path):
    (tmp_path / "k.npy").write_bytes(b"")
    config = configuration(measurements={"K": {"kind": "mr", "path": str(tmp_path / "k.npy")}})
    steps = [job.step for job in plan.jobs(config, plan.studies_of(config))]
    assert "acquire" in steps and "compare" not in steps and "simulate" not in steps


def test_an_image_inside_raw_data_is_brought_out_to_be_compared_with(tmp_path):
    raw = {"kind": "mr", "path": str(tmp_path), "format": "fastmri", "truth": "inside"}
    config = configuration(measurements={"K": raw})
    steps = [job.step for job in plan.jobs(config, plan.studies_of(config))]
    assert steps == ["acquire", "reference", "reconstruct", "series", "compare", "page"]


@pytest.mark.parametrize(
    "source", [{"scans": {"A": CT | {"source": "absent.nii.gz"}}}, {"measurements": {"A": {"kind": "ct", "path": "no"}}}]
)
def test_a_source_that_does_not_exist_is_named_with_its_key(source):
    with pytest.raises(ConfigError, match=r"studies\.(scans|measurements)\.A\.(source|path): .* does not exist"):
        plan.studies_of(configuration(**source))


def test_a_row_of_the_table_that_is_an_image_is_left_out_with_the_reason():
    image = Study("A", "ct", "folder")
    assert "an image, not a measurement" in plan.why_not(image) and not plan.usable({"A": image})
    for raw in (Study("B", "ct", "m.h5"), Study("C", "ct", "folder", more={"format": "lodopab"})):
        assert plan.why_not(raw) == "" and plan.usable({raw.study: raw})


def test_seeds_differ_between_studies_and_follow_from_the_seed_of_the_run():
    config = configuration(scans={"C": CT, "D": CT})
    studies = plan.studies_of(config)
    seeds = {name: plan.solver_settings(config, study, "tv").seed for name, study in studies.items()}
    assert seeds["C"] != seeds["D"]
    again = configuration(scans={"C": CT})
    assert plan.solver_settings(again, studies["C"], "tv").seed == seeds["C"]


def test_a_method_gets_only_the_settings_that_it_reads():
    config = load(
        {
            "studies": {"scans": {"C": CT}},
            "reconstruct": {"ct": {"methods": ["tv", "nadds", "dds"], "prior": "p", "nadds": {"steps": 7}, "samples": 2}},
        }
    )
    study = plan.studies_of(config)["C"]
    tv, nadds, dds, auto = (plan.solver_settings(config, study, name) for name in ("tv", "nadds", "dds", "auto"))
    assert tv.prior is None and nadds.prior == dds.prior == auto.prior == "p"
    assert (tv.nadds.steps, nadds.nadds.steps, dds.nadds.steps, auto.nadds.steps) == (50, 7, 50, 7)
    assert not plan.has_samples(config, study, "tv") and plan.has_samples(config, study, "nadds")


def test_a_generated_scan_and_a_clip_are_dehazed_by_the_methods_of_their_domain():
    studies = {"echoes": {"E": {"frames": 2}}, "recordings": {"P": {"path": "pydicom-echocardiogram"}}}
    section = {"signal": {"methods": ["wiener", "svd"]}, "image": {"methods": ["regress"]}}
    config = load({"studies": studies, "dehaze": section})
    steps = [(job.step, job.study, job.method) for job in plan.jobs(config, plan.studies_of(config))]
    assert [method for step, study, method in steps if (step, study) == ("dehaze", "E")] == ["wiener", "svd"]
    assert ("phantom", "E", "") in steps and ("score", "P", "regress") in steps and ("phantom", "P", "") not in steps


def test_a_method_of_dehazing_reads_its_own_section_and_model_alone():
    study = Study("E", "us", "a.hdf5")
    plain, changed = (
        load({"studies": {"echoes": {"E": {}}}, "dehaze": {"signal": {"split_gibbs": {"levels": levels}}}}) for levels in (20, 5)
    )
    regress, joint = plan.dehaze_settings(plain, study, "regress"), plan.dehaze_settings(plain, study, "split_gibbs")
    assert regress == plan.dehaze_settings(changed, study, "regress") and joint != plan.dehaze_settings(
        changed, study, "split_gibbs"
    )
    assert (regress.joint, joint.regress) == (None, None) and regress.seed == joint.seed


def test_frames_that_are_files_of_their_own_become_one_clip():
    config = load({"studies": {"echoes": {"E": {}}}})
    assert plan.recording_facts(config, Study("A", "us", "d/patient-1-4C-frame-1.mha")).clip
    assert not plan.recording_facts(config, Study("B", "us", "d/loop.dcm")).clip
