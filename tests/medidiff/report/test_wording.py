import pytest

from medidiff.report.wording import cell, is_prominent, label, ordered, quantity


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("dice", "Dice"),
        ("hd95_mm", "HD95 (mm)"),
        ("volume_error_percent", "volume error (%)"),
        ("pet.weight_kg", "PET · weight (kg)"),
        ("mm", "mm"),
        ("suv_max", "SUV max"),
    ],
)
def test_the_unit_of_a_key_stands_in_parentheses(name, heading):
    assert label(name) == heading


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.71249, "0.712"),
        (12.3456, "12.3"),
        (1234.5, "1234"),
        (-3.21, "−3.21"),
        (0.0, "0"),
        (3, "3"),
        (True, "yes"),
        (None, "–"),
        (float("nan"), "–"),
        ("inf", "∞"),
        (float("inf"), "∞"),
        (4.2e-7, "4.20e−07"),
        ([180, 180, 48], "180 × 180 × 48"),
        (["ATTN", "DECY"], "ATTN, DECY"),
    ],
)
def test_numbers_have_three_digits_and_nothing_is_a_dash(value, text):
    assert quantity(value) == text


def test_what_matters_most_comes_first_and_the_rest_keeps_its_order():
    assert ordered(["zeta", "volume_ml", "alpha", "overlap.dice", "hd95_mm", "zeta"]) == [
        "overlap.dice",
        "hd95_mm",
        "volume_ml",
        "zeta",
        "alpha",
    ]
    assert is_prominent("hd95_mm") and not is_prominent("zeta")


@pytest.mark.parametrize("start", "=+-@")
def test_a_cell_that_a_spreadsheet_would_run_becomes_text(start):
    assert cell(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


def test_negative_numbers_stay_numbers_and_line_breaks_go():
    assert cell(-3.5) == "-3.5"
    assert cell("two\nlines\tand a tab") == "two lines and a tab"
    assert cell(" \t=1+1") == "'=1+1"
