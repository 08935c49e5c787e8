"""Does the account of Torre et al. (2025) hold in a network? A rule, fixed before looking.

For the change s -> t all of these must be so:

1. found: kick neurons of s -> t and of t -> s (unknown where changes or zones are too few).
2. kick: with the kick neurons of s -> t silent, its rate is below half of the baseline's.
3. noise: without noise into their population, its rate is below half of the baseline's.
4. controls: in both, matched controls of equal size leave at least three quarters of the rate in
   the mean, and the group takes away more than they do.
5. selective: with the kick neurons of s -> t silent, t -> s keeps at least three quarters of its
   rate.

"Below half" and "more than they do" are judged by 95 % intervals over runs, the means that must
stay above three quarters by their value. Rates are of lasting changes per step under the old
symbol, ratios are paired by noise. The rate of t -> s is that from states of the cluster of t in
the untouched network: where s -> t has stopped, a free run is in t only before it leaves it
for good, and those that have not left yet are not like others. The account holds in a network if
it holds for every ordered pair of symbols that changes often, in part if for some, and else not.
"""

from typing import Literal, NamedTuple

import numpy as np

from hmmrnn.circuits.dose_responses import DoseResponse
from hmmrnn.circuits.kick_neurons import KickNeurons
from hmmrnn.intervals import Estimate
from hmmrnn.results import result

STOPPED_BELOW = 0.5
SPARED_ABOVE = 0.75

Holds = Literal["holds", "in part", "does not hold", "undecided"]


@result
class Criteria(NamedTuple):
    """The parts of the rule for one ordered pair; None where one cannot be judged."""

    found: bool | None
    kick: bool | None
    noise: bool | None
    controls: bool | None
    selective: bool | None

    @property
    def holds(self) -> bool | None:
        """Whether all parts are so; None if none fails but one is unknown."""
        if any(part is False for part in self):
            return False
        return None if any(part is None for part in self) else True

    @property
    def failing(self) -> tuple[str, ...]:
        """Names of the parts that are not so."""
        return tuple(name for name, part in self._asdict().items() if part is False)


def criteria(
    own: KickNeurons, opposite: KickNeurons | None, dose_responses: dict[str, DoseResponse] | None
) -> Criteria:
    """Judge one ordered pair by its dose responses `silence` and `noise`, which contain dose 0."""
    found = _found(own, opposite)
    if dose_responses is None:
        return Criteria(found, None, None, None, None)
    silence, noise = dose_responses["silence"], dose_responses["noise"]
    return Criteria(
        found=found,
        kick=_stopped(silent_ratio(silence)),
        noise=_stopped(silent_ratio(noise)),
        controls=_all([_controls_spare(silence), _controls_spare(noise)]),
        selective=_spared(reverse_ratio(silence)),
    )


def _found(own: KickNeurons, opposite: KickNeurons | None) -> bool | None:
    """Kick neurons in both directions; None where a direction has too little to look at."""
    if opposite is None or not (own.enough and opposite.enough):
        return None
    return bool(own.kick.any() and opposite.kick.any())


def network_verdict(pairs: list[Criteria]) -> Holds:
    """Of all ordered pairs together."""
    held = [pair.holds for pair in pairs]
    if not held:
        return "undecided"
    if all(held):
        return "holds"
    if None in held:
        return "undecided"
    return "in part" if any(held) else "does not hold"


def silent_ratio(response: DoseResponse) -> Estimate:
    """Rate of its own change at dose 0, over the baseline's."""
    return response.outcome.ratio[_zero(response.doses), *response.pair]


def reverse_ratio(response: DoseResponse) -> Estimate:
    """Rate at which cluster states of t first leave for s at dose 0, over the baseline's."""
    s, t = response.pair
    return response.outcome.hazard_ratio[_zero(response.doses), t, s]


def control_ratio(response: DoseResponse) -> Estimate:
    """Mean over controls of the same ratio, with the range of 95 % of them."""
    return response.control.ratio[_zero(response.control_doses), *response.pair]


def specificity(response: DoseResponse) -> Estimate:
    """Mean ratio of the controls minus that of the group, at dose 0."""
    return response.specificity.rate[_zero(response.control_doses)]


def _zero(doses: np.ndarray) -> int:
    return int(np.flatnonzero(doses == 0)[0])


def _stopped(ratio: Estimate) -> bool | None:
    return bool(ratio.high < STOPPED_BELOW) if np.isfinite(ratio.high) else None


def _spared(ratio: Estimate) -> bool | None:
    return bool(ratio.value >= SPARED_ABOVE) if np.isfinite(ratio.value) else None


def _controls_spare(response: DoseResponse) -> bool | None:
    return _all([_spared(control_ratio(response)), _positive(specificity(response))])


def _positive(difference: Estimate) -> bool | None:
    return bool(difference.low > 0) if np.isfinite(difference.low) else None


def _all(parts: list[bool | None]) -> bool | None:
    if any(part is False for part in parts):
        return False
    return None if any(part is None for part in parts) else True
