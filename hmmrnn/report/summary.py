"""The five numbers that say most about a trained network, and the line that sums them up."""

import math
from typing import Any, NamedTuple

from hmmrnn.fidelity import Compared
from hmmrnn.intervals import UNKNOWN, Estimate
from hmmrnn.nets import LongRun
from hmmrnn.report.numbers import beside, span, text
from hmmrnn.targets import OF_HMM, Words


class Number(NamedTuple):
    """A number with its 95 % interval, beside the same number of HMM or data; NaN where unknown."""

    name: str
    value: float
    low: float
    high: float
    floor: float  # of an HMM sample of the same size, or of training data
    exact: float | None  # of the HMM, where it is known; of held-out data
    meaning: str
    undefined: str  # what it means that the value is NaN
    words: Words = OF_HMM

    def __str__(self) -> str:
        """One line for a terminal."""
        if math.isnan(self.value):
            return f"{self.name}: {self.undefined}"
        parts = [f"{self.name}: {span(self.value, self.low, self.high)}"]
        if not math.isnan(self.floor):
            parts.append(f"{self.words.sample} {beside(self.floor, self.low, self.high)}")
        if self.exact is not None:
            parts.append(f"{self.words.target} {beside(self.exact, self.low, self.high)}")
        return "; ".join(parts)


def five_numbers(
    fidelity: dict[str, Any], dynamics: dict[str, Any], words: Words = OF_HMM
) -> list[Number]:
    """From the contents of fidelity.json and dynamics.json; {} for one that is missing.

    Raises:
        KeyError, TypeError, ValueError, IndexError: they are of another form.
    """
    numbers = [*_of_fidelity(fidelity, words), _rotation(dynamics)]
    return [number._replace(words=words) for number in numbers]


def verdict(fidelity: dict[str, Any], dynamics: dict[str, Any], words: Words = OF_HMM) -> str:
    """One line: how far from HMM or data, and in which regime it switches."""
    kl, *_, rotation = five_numbers(fidelity, dynamics)
    parts = []
    if not fidelity:
        parts.append("Fidelity is not measured yet")
    else:
        n = highest_order(fidelity)
        impossible = number(fidelity["impossible_share"])
        if impossible > 0:
            parts.append(f"{text(100 * impossible)} % of its {n}-grams are impossible in the HMM")
        if not math.isnan(kl.value):
            parts.append(
                f"Its {n}-grams lie {text(kl.value, kl.low, kl.high)} nats from "
                f"the {words.target}'s law, "
                f"{words.of_sample} {beside(kl.floor, kl.low, kl.high)}"
            )
    if "regime" in dynamics:
        told = "; ".join(parts)
        return (f"{told}. " if told else "") + str(dynamics["regime"]["sentence"])
    if not dynamics:
        parts.append("its dynamics are not measured yet")
    elif "problem" in dynamics:
        parts.append("it diverges under its noise")
    elif math.isnan(rotation.value):
        parts.append("its preferred symbol never changes")
    else:
        turns = f"{text(rotation.value, rotation.low, rotation.high)} times per pair of transitions"
        parts.append(f"it turns {turns}")
    return "; ".join(parts) + "."


def highest_order(fidelity: dict[str, Any]) -> int:
    """The largest n of which n-grams were compared."""
    return max(int(n) for n in fidelity["kl"])


def most_frequent(fidelity: dict[str, Any]) -> int:
    """The symbol that HMM or data show most often."""
    shares = [float(entry["exact"]) for entry in fidelity["symbol_shares"]]
    return shares.index(max(shares))


def estimate(fields: dict[str, Any]) -> Estimate:
    """An `Estimate` from JSON, where NaN is null."""
    return Estimate(*(number(fields[name]) for name in ("value", "low", "high")))


def compared(fields: dict[str, Any]) -> Compared:
    """A `Compared` from JSON; its exact value is None where it is not known."""
    exact = fields["exact"]
    return Compared(
        estimate(fields["network"]),
        estimate(fields["floor"]),
        None if exact is None else number(exact),
    )


def number(value: Any) -> float:  # noqa: ANN401
    """A number from JSON, where NaN is null."""
    if isinstance(value, (str, bool)):
        raise TypeError(f"{value!r} is not a number")
    return math.nan if value is None else float(value)


def _of_fidelity(fidelity: dict[str, Any], words: Words) -> list[Number]:
    if fidelity:
        n, symbol = str(highest_order(fidelity)), str(most_frequent(fidelity))
        found = [
            fidelity["kl"][n],
            fidelity["excess_surprise"],
            fidelity["volatility"],
            fidelity["dwell"][int(symbol)]["cv"],
        ]
    else:
        n, symbol, found = "6", "(most frequent)", [None] * 4
    rows = (
        (
            f"KL of {n}-grams (nats)",
            f"distance of the generated sequences from the {words.target}'s law",
            f"undefined: it generates nothing that the {words.target} can",
        ),
        (
            "excess surprise (nats per symbol)",
            f"below zero: more typical than the {words.target}'s own sequences",
            f"undefined: it generates nothing that the {words.target} can",
        ),
        ("volatility (per step)", "how often the symbol changes", "not finite"),
        (
            f"dwell-time CV of symbol {symbol}",
            "standard deviation over mean of its dwell times; clock-like if small",
            f"undefined: {no_dwell_times(fidelity)}",
        ),
    )
    return [
        _number(name, None if fields is None else compared(fields), meaning, undefined)
        for (name, meaning, undefined), fields in zip(rows, found, strict=True)
    ]


def no_dwell_times(fidelity: dict[str, Any]) -> str:
    """Why dwell times are not known where they are not."""
    ran = fidelity.get("long_run")
    if ran is not None and LongRun(**ran).problem is not None:
        return "the network is unbounded in long runs"
    return "there is no complete run of the symbol, or one overflows"


def _rotation(dynamics: dict[str, Any]) -> Number:
    name = "net rotation (turns per pair of transitions)"
    meaning = "1: the state circles, 0: it goes back and forth"
    if not dynamics:
        return _number(name, None, meaning, "")
    if "problem" in dynamics:
        return _number(name, Compared(UNKNOWN, UNKNOWN, None), meaning, "undefined: it diverges")
    turns = estimate(dynamics["rotation"])
    rate = estimate(dynamics["transitions_per_step"])
    meaning += f"; {text(*rate.parts)} transitions per step"
    return _number(name, Compared(turns, UNKNOWN, None), meaning, "undefined: no transitions")


def _number(name: str, found: Compared | None, meaning: str, undefined: str) -> Number:
    if found is None:
        return Number(name, *UNKNOWN.parts, math.nan, None, meaning, "not measured yet")
    return Number(name, *found.network.parts, found.floor.value, found.exact, meaning, undefined)


def readable(value: Any) -> Any:  # noqa: ANN401
    """JSON with its estimates as such and NaN where it has null."""
    if isinstance(value, dict):
        if set(value) == {"value", "low", "high"}:
            return estimate(value)
        return {name: readable(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [readable(entry) for entry in value]
    return number(value) if value is None else value
