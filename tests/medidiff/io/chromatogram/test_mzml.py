"""mzML written by hand here, after the HUPO-PSI schema."""

import base64
import struct
import zlib

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.chromatogram.mzml import read_mzml

TIMES = [0.1 * i for i in range(20)]
SIGNAL = [5.0 + (i % 7) for i in range(20)]


def array(values, *, code="<20d", kind="MS:1000595", type_="MS:1000523", packed=True, unit="UO:0000031", claimed=None):
    raw = struct.pack(code, *values)
    text = base64.b64encode(zlib.compress(raw) if packed else raw).decode()
    text = claimed if claimed is not None else text
    return f"""<binaryDataArray encodedLength="{len(text)}">
      <cvParam cvRef="MS" accession="{type_}" name="type"/>
      <cvParam cvRef="MS" accession="{"MS:1000574" if packed else "MS:1000576"}" name="compression"/>
      <cvParam cvRef="MS" accession="{kind}" name="array" unitAccession="{unit}"/>
      <binary>{text}</binary></binaryDataArray>"""


def trace(arrays, name="TIC", kind="MS:1000235", length=20):
    return f"""<chromatogram index="0" id="{name}" defaultArrayLength="{length}"><cvParam accession="{kind}"/>
      <binaryDataArrayList count="2">{"".join(arrays)}</binaryDataArrayList></chromatogram>"""


def document(*traces, spectra="", head=""):
    chromatograms = f"<chromatogramList>{''.join(traces)}</chromatogramList>" if traces else ""
    return f"""<?xml version="1.0" encoding="utf-8"?>{head}
    <indexedmzML xmlns="http://psi.hupo.org/ms/mzml"><mzML><run>{spectra}{chromatograms}</run></mzML></indexedmzML>"""


def intensities(**more):
    return array(SIGNAL, kind="MS:1000515", unit="MS:1000131", **more)


def read(tmp_path, content, **options):
    path = tmp_path / "a.mzML"
    path.write_text(content)
    return read_mzml(path, **options)


def test_minutes_and_seconds_follow_the_unit_accession(tmp_path):
    found = read(tmp_path, document(trace([array(TIMES), intensities()])))
    np.testing.assert_allclose(found.times, 60 * np.array(TIMES))
    np.testing.assert_array_equal(found.signal, SIGNAL)
    found = read(tmp_path, document(trace([array(TIMES, unit="UO:0000010"), intensities()])))
    np.testing.assert_allclose(found.times, TIMES)


def test_plain_single_precision_arrays_and_parameter_groups_are_read(tmp_path):
    group = '<referenceableParamGroup id="g"><cvParam accession="MS:1000521"/></referenceableParamGroup>'
    single = array(SIGNAL, code="<20f", kind="MS:1000515", type_="MS:0", packed=False)
    single = single.replace('<cvParam cvRef="MS" accession="MS:0" name="type"/>', '<referenceableParamGroupRef ref="g"/>')
    found = read(tmp_path, document(trace([array(TIMES), single]), spectra=group))
    np.testing.assert_array_equal(found.signal, SIGNAL)


def test_the_total_ion_current_is_taken_unless_another_trace_is_named(tmp_path):
    other = trace([array(TIMES), array([2 * y for y in SIGNAL], kind="MS:1000515")], name="SIM 91", kind="MS:1001472")
    content = document(trace([array(TIMES), intensities()]), other)
    assert read(tmp_path, content).detector == "TIC"
    assert read(tmp_path, content, trace="SIM 91").signal[0] == 10.0
    with pytest.raises(DataError, match="no chromatogram 'SIM 92', found TIC, SIM 91"):
        read(tmp_path, content, trace="SIM 92")
    with pytest.raises(DataError, match="2 chromatograms"):
        read(tmp_path, document(other, other.replace("SIM 91", "SIM 92")))


def spectrum(start, total, unit="UO:0000031", level=1):
    return f"""<spectrum><cvParam accession="MS:1000511" value="{level}"/><cvParam accession="MS:1000285" value="{total}"/>
      <scanList><scan><cvParam accession="MS:1000016" value="{start}" unitAccession="{unit}"/></scan></scanList>
      <binaryDataArrayList><binaryDataArray><binary>!!not read!!</binary></binaryDataArray></binaryDataArrayList></spectrum>"""


def test_without_chromatograms_the_first_level_spectra_give_the_trace(tmp_path):
    spectra = "".join(spectrum(t, y) + spectrum(t + 0.01, 1e9, level=2) for t, y in zip(TIMES, SIGNAL))
    found = read(tmp_path, document(spectra=f"<spectrumList>{spectra}</spectrumList>"))
    np.testing.assert_allclose(found.times, 60 * np.array(TIMES))
    np.testing.assert_array_equal(found.signal, SIGNAL)
    with pytest.raises(DataError, match="scan start time with unit 'none'"):
        read(tmp_path, document(spectra=spectrum(1, 2, unit="")))


def test_entity_bombs_and_external_entities_are_refused_unread(tmp_path):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    with pytest.raises(DataError, match=r"a\.mzML: holds a document type declaration"):
        read(tmp_path, document(trace([array(TIMES), intensities()]), head=bomb))
    with pytest.raises(DataError, match="document type declaration"):
        read(tmp_path, document(head='<!DOCTYPE x SYSTEM "file:///etc/passwd">'))


def test_compressed_bombs_stop_at_the_claimed_length(tmp_path):
    bomb = base64.b64encode(zlib.compress(bytes(50_000_000))).decode()
    with pytest.raises(DataError, match=r"has 161\+ bytes, expected 160 for its 20 values"):
        read(tmp_path, document(trace([array(TIMES), intensities(claimed=bomb)])))
    with pytest.raises(DataError, match="defaultArrayLength '99999999999'"):
        read(tmp_path, document(trace([array(TIMES), intensities()], length=99999999999)))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([array(TIMES, unit=""), intensities()], "time array with unit 'none'"),
        ([array(TIMES), intensities(claimed="AAAA")], "has .* bytes|cannot be decoded"),
        ([array(TIMES), intensities(claimed="%%%")], "cannot be decoded"),
        ([array(TIMES), intensities(type_="MS:1002312")], "expected zlib or no compression"),
        ([array(TIMES)], "lacks its time or intensity array"),
    ],
)
def test_arrays_that_cannot_be_trusted_are_named(tmp_path, arrays, message):
    with pytest.raises(DataError, match=rf"a\.mzML: .*({message})"):
        read(tmp_path, document(trace(arrays)))


def test_broken_and_empty_files_are_named(tmp_path):
    with pytest.raises(DataError, match="not well-formed XML"):
        read(tmp_path, document(trace([array(TIMES), intensities()]))[:-40])
    with pytest.raises(DataError, match="no chromatogram and 0 scans"):
        read(tmp_path, document())
