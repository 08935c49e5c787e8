import math

import pytest
from figures.records import compared, fidelity, portrait, silent, still

from hmmrnn.report import five_numbers, verdict
from hmmrnn.storage import plain


def test_the_five_numbers_are_those_of_the_records():
    record, moving = fidelity(), portrait()
    shares = [entry.exact for entry in record.symbol_shares]
    symbol = shares.index(max(shares))
    sources = [record.kl[3], record.excess_surprise, record.volatility, record.dwell[symbol].cv]
    *numbers, rotation = five_numbers(plain(record), plain(moving))
    for number, source in zip(numbers, sources, strict=True):
        assert (number.value, number.low, number.high) == source.network.parts
        assert number.floor == source.floor.value
        assert number.exact == source.exact
    assert (rotation.value, rotation.low, rotation.high) == moving.rotation.parts
    assert math.isnan(rotation.floor)
    assert rotation.exact is None
    names = [number.name for number in (*numbers, rotation)]
    assert names[0] == "KL of 3-grams (nats)"
    assert names[3] == f"dwell-time CV of symbol {symbol}"
    assert "0.1283 transitions per step" in rotation.meaning


def test_orders_of_ten_and_more_are_numbers_not_words():
    record = fidelity()._replace(kl={n: compared(n / 10, 0.0) for n in (2, 9, 10)})
    assert five_numbers(plain(record), {})[0].value == 1.0


def test_a_number_is_a_line_for_a_terminal():
    numbers = five_numbers(plain(fidelity()), plain(portrait()))
    assert (
        str(numbers[0]) == "KL of 3-grams (nats): 0.0369 [0.0354, 0.0384]; HMM sample 0.0332; HMM 0"
    )
    assert str(numbers[4]).endswith("0.991 [0.973, 1.012]")


def test_what_is_not_measured_or_not_defined_says_so():
    assert [str(n).partition(": ")[2] for n in five_numbers({}, {})] == ["not measured yet"] * 5
    numbers = five_numbers(plain(silent(fidelity())), plain(still(portrait())))
    assert "no complete run" in str(numbers[3])
    exploding = {"bounded_share": 0.5, "n_runs": 64, "n_steps": 2000}
    unbounded = five_numbers({**plain(silent(fidelity())), "long_run": exploding}, {})
    assert "unbounded" in str(unbounded[3])
    assert "no transitions" in str(numbers[4])


def test_the_verdict_is_that_on_the_regime_word_by_word():
    told = "It turns 0.90 times, but that is too uncertain."
    moving = plain(portrait()) | {"regime": {"kind": "neither", "sentence": told}}
    line = verdict(plain(fidelity()), moving)
    assert line.endswith(f". {told}")
    assert "3-grams lie 0.0369 nats" in line
    assert verdict({}, moving).endswith(told)
    assert "\n" not in line


def test_without_a_regime_the_verdict_says_how_often_it_turns():
    assert "it turns 0.991" in verdict(plain(fidelity()), plain(portrait()))


def test_the_verdict_of_parts():
    assert "not measured" in verdict({}, plain(portrait()))
    assert "dynamics are not measured" in verdict(plain(fidelity()), {})
    assert "never changes" in verdict({}, plain(still(portrait())))


def test_records_of_another_form_are_errors():
    with pytest.raises(KeyError):
        five_numbers({"kl": {"1": {}}}, {})
    with pytest.raises(TypeError):
        five_numbers({}, plain(portrait()) | {"rotation": {"value": "1", "low": 0, "high": 1}})
