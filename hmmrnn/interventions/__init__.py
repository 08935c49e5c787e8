"""Interventions: the same trials under many arms, by one engine.

| file       |                                                                         |
|------------|-------------------------------------------------------------------------|
| `engine`   | `under` runs `Trials` under `Arms`: gains, held states, pushes, weights |
| `answers`  | what runs answer: onsets, first steps, margins, swing lost             |
| `controls` | groups of other units, matched one by one                             |
"""

from hmmrnn.interventions.engine import Arms, Trials, hearing_drives, run_under, under

__all__ = ["Arms", "Trials", "hearing_drives", "run_under", "under"]
