import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.chromatogram.csvfile import is_peak_table, read_csv, read_peak_table, split_unit, write_csv
from medidiff.io.chromatogram.trace import Chromatogram

ROWS = [(0.5 * i, 3 + 10 * np.exp(-0.5 * ((i - 20) / 4) ** 2)) for i in range(40)]


def text(header, *, delimiter=",", decimal=".", rows=ROWS, before=""):
    lines = [header] + [delimiter.join(f"{value:.6f}".replace(".", decimal) for value in row) for row in rows]
    return before + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("header", "factor"),
    [("time_s,signal", 1), ("time [min],pA", 60), ("RT (min),a", 60), ("Time_min,FID", 60), ("t [s],y", 1), ("time_ms,y", 1e-3)],
)
def test_the_header_says_the_unit_of_time(tmp_path, header, factor):
    (tmp_path / "a.csv").write_text(text(header))
    np.testing.assert_allclose(read_csv(tmp_path / "a.csv").times, factor * 0.5 * np.arange(40))


def test_without_a_unit_nothing_is_guessed(tmp_path):
    (tmp_path / "a.csv").write_text(text("time,signal"))
    with pytest.raises(DataError, match=r"a\.csv: no time unit, expected s or min.*reading\.time_unit"):
        read_csv(tmp_path / "a.csv")
    assert read_csv(tmp_path / "a.csv", time_unit="min").times[1] == 30.0


def test_header_and_settings_that_contradict_each_other_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text(text("time_s,signal"))
    with pytest.raises(DataError, match=r"the header says 'time_s', the settings say 'min'"):
        read_csv(tmp_path / "a.csv", time_unit="min")


def test_semicolons_decimal_commas_comments_marks_and_latin_letters_are_read(tmp_path):
    body = text("Zeit;Größe [mV]", delimiter=";", decimal=",", before="# Messung am Gerät\n\n")
    (tmp_path / "a.csv").write_bytes(body.encode("latin-1"))
    found = read_csv(tmp_path / "a.csv", time_column="Zeit", time_unit="s")
    np.testing.assert_allclose(found.signal, [value for _, value in ROWS], atol=1e-6)
    assert (found.unit, found.detector) == ("mV", "Größe")
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + text("time_s\tsignal", delimiter="\t").encode())
    assert len(read_csv(tmp_path / "b.csv").times) == 40


def test_several_signals_need_a_name(tmp_path):
    rows = [(*row, 1.0 + row[0]) for row in ROWS]
    (tmp_path / "a.csv").write_text(text("time_s,FID,TCD", rows=rows))
    with pytest.raises(DataError, match=r"2 columns beside 'time_s' \(FID, TCD\)"):
        read_csv(tmp_path / "a.csv")
    assert read_csv(tmp_path / "a.csv", signal_column="TCD").signal[0] == 1.0
    with pytest.raises(DataError, match="no column 'ECD', found time_s, FID, TCD"):
        read_csv(tmp_path / "a.csv", signal_column="ECD")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS[:20], *ROWS[18:]], r"time goes from 9\.5 s to 9 s after sample 19.*Sort the samples"),
        ([*ROWS, (20.0, float("nan"))], "signal nan at sample 40"),
        ([(float("inf"), 1.0), *ROWS], "time inf at sample 0"),
        (ROWS[:9], "9 samples, expected at least 16"),
        ([(t, 4.0) for t, _ in ROWS], "the signal is 4 everywhere"),
    ],
)
def test_times_and_values_that_cannot_be_used_are_named(tmp_path, rows, message):
    (tmp_path / "a.csv").write_text(text("time_s,signal", rows=rows))
    with pytest.raises(DataError, match=rf"a\.csv: {message}"):
        read_csv(tmp_path / "a.csv")


def test_a_cell_that_is_no_number_is_named_with_its_line(tmp_path):
    (tmp_path / "a.csv").write_text(text("time_s,signal").replace("\n1.000000,", "\n1.000000,abc"))
    with pytest.raises(DataError, match=r"'abc.*' in column 'signal', data line 3"):
        read_csv(tmp_path / "a.csv")


def test_empty_and_binary_files_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("time_s,signal\n")
    with pytest.raises(DataError, match="1 lines, expected a header and data"):
        read_csv(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b"time\0\1\2")
    with pytest.raises(DataError, match="holds binary data"):
        read_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        read_csv(tmp_path / "none.csv")


def test_what_is_written_reads_back_to_the_last_bit(tmp_path):
    made = Chromatogram(np.cumsum(np.linspace(0.1, 0.3, 50)), np.sin(np.arange(50.0)), "a.u.")
    (tmp_path / "w.csv").write_text(write_csv(made))
    found = read_csv(tmp_path / "w.csv")
    np.testing.assert_array_equal(found.times, made.times)
    np.testing.assert_array_equal(found.signal, made.signal)
    assert found.unit == "a.u."


def test_peak_tables_give_names_and_seconds(tmp_path):
    (tmp_path / "t.csv").write_text("Name,RT,width\nC9,2.305,0.345\nC10,3.699,0.428\n")
    assert is_peak_table(tmp_path / "t.csv")
    found = read_peak_table(tmp_path / "t.csv", time_unit="min")
    assert [(peak.name, peak.time) for peak in found] == [("C9", pytest.approx(138.3)), ("C10", pytest.approx(221.94))]
    with pytest.raises(DataError, match="no time unit"):
        read_peak_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("Name,RT_s\nC9,2\nC9,3\n")
    with pytest.raises(DataError, match="C9 more than once"):
        read_peak_table(tmp_path / "t.csv")
    (tmp_path / "a.csv").write_text(text("time_s,signal"))
    assert not is_peak_table(tmp_path / "a.csv")


def test_units_are_split_from_names():
    assert split_unit("time_s") == ("time", "s")
    assert split_unit("ordinate_values") == ("ordinate_values", "")
    assert split_unit("signal [a.u.]") == ("signal", "a.u.")


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "last"), [("A", 1799.22), ("B", 1279.21)])
def test_measured_traces_are_read_at_100_hertz(mirror, name, last):
    found = read_csv(mirror / "chromatography" / "leppert2020" / f"measured_chromatogram_{name}.csv")
    assert found.step == pytest.approx(0.01, rel=1e-9)
    assert (found.times[0], found.times[-1]) == (-0.79, last)
