import math

import pytest

from hmmrnn.report.numbers import MINUS, TIMES, UNKNOWN, beside, data, percent, span, text


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (0.00429, 0.00367, 0.00496, "0.0043"),
        (0.2575, 0.2554, 0.2597, "0.2575"),
        (1.1094, 1.1, 1.1199, "1.109"),
        (-0.0341, -0.0441, -0.0241, f"{MINUS}0.034"),
        (1.8451234, 1.8451233, 1.8451235, "1.845"),
        (3.2e-7, 2.1e-7, 4.3e-7, f"3.2{TIMES}10⁻⁷"),
        (123.4, 101.0, 143.0, "123"),
        (0.0, 0.0, 0.0, "0"),
        (0.5, math.nan, math.nan, "0.500"),
        (math.nan, math.nan, math.nan, UNKNOWN),
        (math.inf, math.nan, math.nan, "∞"),
        (-math.inf, math.nan, math.nan, f"{MINUS}∞"),
    ],
)
def test_a_value_has_the_digits_of_its_interval(value, low, high, shown):
    assert text(value, low, high) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.256202, "0.256"),
        (12.345, "12.3"),
        (1234.5, "1234"),
        (2e6, f"2.00{TIMES}10⁶"),
        (None, UNKNOWN),
        (-1.5e-5, f"{MINUS}1.50{TIMES}10⁻⁵"),
        (0.999999, "1.000"),
        (1, "1.00"),
    ],
)
def test_a_value_without_interval_has_three_digits(value, shown):
    assert text(value) == shown


def test_zero_has_no_exponent():
    assert span(2e-6, 0.0, 4e-6).endswith("[0, 4.0\N{MULTIPLICATION SIGN}10⁻⁶]")


def test_a_span_has_the_same_digits_throughout():
    assert span(0.0007265, -0.0023827, 0.003857) == f"0.0007 [{MINUS}0.0024, 0.0039]"
    assert span(0.5, math.nan, math.nan) == "0.500"


def test_a_number_beside_another_is_never_rounded_away():
    assert beside(0.2562023, 0.2554, 0.2597) == "0.2562"
    assert beside(0.0011, 0.3, 0.9) == "0.0011"
    assert beside(0.0, 0.3, 0.9) == "0"
    assert beside(None, 0.3, 0.9) == UNKNOWN


def test_data_elements_carry_all_digits():
    assert data(0.256202) == '<data value="0.256202">0.256</data>'
    assert data(0.256202, "<b>") == '<data value="0.256202">&lt;b&gt;</data>'
    assert data(math.nan) == UNKNOWN
    assert percent(0.528) == '<data value="0.528">52.8</data>'
    assert percent(0.00012) == '<data value="0.00012">0.0120</data>'
