"""Pictures of result records: each function returns a matplotlib figure and computes nothing.

The report looks for them under the names training, transitions, ngrams, dwell, trajectories.
"""

from hmmrnn.figures.dynamics import trajectory_figure
from hmmrnn.figures.fidelity import dwell_figure, ngram_figure, transition_figure
from hmmrnn.figures.losses import loss_figure
from hmmrnn.figures.style import symbol_color
from hmmrnn.figures.svg import save, save_png, to_svg
from hmmrnn.figures.training import training_figure

__all__ = [
    "dwell_figure",
    "loss_figure",
    "ngram_figure",
    "save",
    "save_png",
    "symbol_color",
    "to_svg",
    "training_figure",
    "trajectory_figure",
    "transition_figure",
]
