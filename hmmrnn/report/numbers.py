"""Numbers as people read them: as many digits as their interval supports."""

import math

from markupsafe import Markup, escape

MINUS = "\N{MINUS SIGN}"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNKNOWN = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"


def text(value: float | None, low: float = math.nan, high: float = math.nan) -> str:
    """`value` to the leading digits of its interval, three digits without one; a dash for NaN."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    decimals = _decimals(low, high)
    if decimals is None:
        return _three_digits(value)
    return _signed(f"{value:.{decimals}f}") if decimals <= 5 else _power(value, 1)


def beside(value: float | None, low: float, high: float) -> str:
    """`value` with the digits of a number that has this interval, and at least two of its own."""
    decimals = _decimals(low, high)
    if not value or not math.isfinite(value) or decimals is None:
        return text(value)
    decimals = max(decimals, 1 - math.floor(math.log10(abs(value))))
    return _signed(f"{value:.{decimals}f}") if decimals <= 5 else _power(value, 1)


def span(value: float, low: float, high: float) -> str:
    """`value [low, high]`, all with the same digits; without an interval only the value."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return text(value)
    return f"{text(value, low, high)} [{text(low, low, high)}, {text(high, low, high)}]"


def data(value: float | None, shown: str | None = None) -> Markup:
    """A <data> element that carries all digits and shows `text`, or what is given."""
    shown = escape(text(value) if shown is None else shown)
    if value is None or math.isnan(value):
        return shown
    return Markup('<data value="{}">{}</data>').format(repr(float(value)), shown)


def percent(share: float) -> Markup:
    """A share as <data> that shows it in percent, without the sign."""
    return data(share, f"{100 * share:.1f}" if share >= 1e-3 or share == 0 else text(100 * share))


def _decimals(low: float, high: float) -> int | None:
    """Decimals that an interval supports: half of it has one digit, two if the first is below 4.

    Never more than four digits of the number itself.
    """
    half, scale = (high - low) / 2, max(abs(low), abs(high))
    if not (math.isfinite(half) and half > 0):
        return None
    exponent = math.floor(math.log10(half))
    supported = -exponent + (half < 4 * 10.0**exponent)
    return max(0, min(supported, 3 - math.floor(math.log10(scale))))


def _three_digits(value: float) -> str:
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        return _power(value, 2)
    return _signed(f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}")


def _power(value: float, decimals: int) -> str:
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{decimals}e}".split("e")
    return f"{_signed(mantissa)}{TIMES}10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def _signed(digits: str) -> str:
    return digits.replace("-", MINUS)
