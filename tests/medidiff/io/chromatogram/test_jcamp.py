"""JCAMP-DX written by hand here; the packed example is that of McDonald and Wilks (1988), their table of all forms."""

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.chromatogram.asdf import decode_lines
from medidiff.io.chromatogram.jcamp import read_jcamp

PUBLISHED = [1, 2, 3, 3, 2, 1, 0, -1, -2, -3]


def chromatogram(body, *, kind="CHROMATOGRAM", xunits="SECONDS", more=""):
    head = f"##TITLE= a run $$ comment\n##JCAMP-DX= 5.01\n##DATA TYPE= {kind}\n##XUNITS= {xunits}\n##YUNITS= MV\n"
    return f"{head}{more}{body}##END=\n"


def packed(lines, count, last):
    head = f"##XFACTOR= 1\n##YFACTOR= 0.5\n##FIRSTX= 10\n##LASTX= {last}\n##NPOINTS= {count}\n##XYDATA= (X++(Y..Y))\n"
    return head + "\n".join(lines) + "\n"


def read(tmp_path, content, **options):
    path = tmp_path / "a.jdx"
    path.write_text(content, encoding="latin-1")
    return read_jcamp(path, **options)


@pytest.mark.parametrize("line", ["1 2 3 3 2 1 0 -1 -2 -3", "+1+2+3+3+2+1+0-1-2-3", "ABCCBA@abc", "AJJ%jjjjjj", "AJT%jX"])
def test_every_form_gives_the_published_example(line):
    np.testing.assert_array_equal(decode_lines("a.jdx", [f"0 {line}"]), PUBLISHED)


def test_lines_in_difference_form_repeat_their_last_value_as_a_check():
    np.testing.assert_array_equal(decode_lines("a.jdx", ["0AJJ", "3CJJ", "5E"]), [1, 2, 3, 4, 5])
    with pytest.raises(DataError, match=r"data line 2 begins with 4, its check value is 3"):
        decode_lines("a.jdx", ["0AJJ", "3DJJ"])
    with pytest.raises(DataError, match=r"'\?' in data line 1"):
        decode_lines("a.jdx", ["0A?"])
    with pytest.raises(DataError, match="begins with a difference"):
        decode_lines("a.jdx", ["0 J"])
    with pytest.raises(DataError, match="repeat 'S9999999999' in data line 1"):
        decode_lines("a.jdx", ["0AS9999999999"])


def test_packed_traces_have_uniform_times_in_seconds(tmp_path):
    body = packed(["10 1 2 3 4 5 6 7 8 9 10", "20 11 12 13 14 15 16 17 18 19 20"], 20, 29)
    found = read(tmp_path, chromatogram(body))
    np.testing.assert_allclose(found.times, np.arange(10.0, 30.0))
    np.testing.assert_allclose(found.signal, 0.5 * np.arange(1, 21))
    found = read(tmp_path, chromatogram(body, xunits="RETENTION TIME (MIN.)", kind="GAS CHROMATOGRAM"))
    np.testing.assert_allclose(found.times, 60 * np.arange(10.0, 30.0))


def test_pairs_are_read_and_an_absent_unit_is_asked_for(tmp_path):
    body = "##XYPOINTS= (XY..XY)\n" + "\n".join(f"{i}, {i % 5};" for i in range(20)).replace(";", "") + "\n"
    with pytest.raises(DataError, match=r"a\.jdx: no time unit"):
        read(tmp_path, chromatogram(body, xunits="ARBITRARY"))
    np.testing.assert_allclose(read(tmp_path, chromatogram(body, xunits=""), time_unit="min").times, 60.0 * np.arange(20))


def test_pages_of_mass_spectra_are_summed(tmp_path):
    pages = "".join(
        f"##PAGE= T= {300 + 0.4 * i}\n##NPOINTS= 2\n##DATA TABLE= (XY..XY), PEAKS\n50.0, {i}.5\n51.1 {i + 1}\n" for i in range(20)
    )
    more = "##DATA CLASS= NTUPLES\n##SYMBOL= X, Y, T\n##UNITS= M/Z, RELATIVE ABUNDANCE, SECONDS\n"
    found = read(tmp_path, chromatogram(pages, kind="MASS SPECTRUM", xunits="", more=more))
    np.testing.assert_allclose(found.times, 300 + 0.4 * np.arange(20))
    np.testing.assert_allclose(found.signal, 2 * np.arange(20) + 1.5)


def test_what_contradicts_itself_or_is_no_chromatogram_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"20 values, but ##NPOINTS=21"):
        read(tmp_path, chromatogram(packed(["10 1 2 3 4 5 6 7 8 9 10"] * 2, 21, 30)))
    with pytest.raises(DataError, match="DATA TYPE 'infrared spectrum'"):
        read(tmp_path, chromatogram("", kind="INFRARED SPECTRUM"))
    with pytest.raises(DataError, match="neither ##XYDATA= nor ##XYPOINTS="):
        read(tmp_path, chromatogram(""))
    with pytest.raises(DataError, match=r"does not begin with ##TITLE="):
        read(tmp_path, "hello")
