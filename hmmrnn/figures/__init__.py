"""Pictures of result records: each function returns a matplotlib figure and computes nothing.

The report looks for them under the names in `hmmrnn.report.build.FIGURES`.
"""

from hmmrnn.figures.circuit_matrices import (
    composition_figure,
    ordered_weights_figure,
    weight_block_figure,
)
from hmmrnn.figures.circuits import (
    kick_plane_figure,
    kick_score_figure,
    transition_activity_figure,
)
from hmmrnn.figures.development import development_figure
from hmmrnn.figures.discovery import discovery_map_figure
from hmmrnn.figures.discovery_curves import (
    agreement_figure,
    edge_faithfulness_figure,
    faithfulness_figure,
)
from hmmrnn.figures.discovery_judged import precision_recall_figure
from hmmrnn.figures.discovery_movie import connectivity_figure
from hmmrnn.figures.dynamics import trajectory_figure
from hmmrnn.figures.fidelity import dwell_figure, ngram_figure, transition_figure
from hmmrnn.figures.fixed_points import fixed_point_figure
from hmmrnn.figures.flow import flow_figure
from hmmrnn.figures.interventions import dose_response_figure, window_figure
from hmmrnn.figures.local import mean_shift_figure, spectra_figure
from hmmrnn.figures.losses import loss_figure
from hmmrnn.figures.networks import networks_figure
from hmmrnn.figures.orbits import (
    noise_level_figure,
    phase_figure,
    readout_figure,
    rotation_figure,
)
from hmmrnn.figures.residency import noise_sensitivity_figure, residency_figure
from hmmrnn.figures.state_transitions import holding_figure, optimal_kick_figure
from hmmrnn.figures.style import symbol_color
from hmmrnn.figures.sufficiency import pulse_figure, replay_figure, resonance_figure
from hmmrnn.figures.svg import save, save_png, to_svg
from hmmrnn.figures.training import training_figure

__all__ = [
    "agreement_figure",
    "composition_figure",
    "connectivity_figure",
    "development_figure",
    "discovery_map_figure",
    "dose_response_figure",
    "dwell_figure",
    "edge_faithfulness_figure",
    "faithfulness_figure",
    "fixed_point_figure",
    "flow_figure",
    "holding_figure",
    "kick_plane_figure",
    "kick_score_figure",
    "loss_figure",
    "mean_shift_figure",
    "networks_figure",
    "ngram_figure",
    "noise_level_figure",
    "noise_sensitivity_figure",
    "optimal_kick_figure",
    "ordered_weights_figure",
    "phase_figure",
    "precision_recall_figure",
    "pulse_figure",
    "readout_figure",
    "replay_figure",
    "residency_figure",
    "resonance_figure",
    "rotation_figure",
    "save",
    "save_png",
    "spectra_figure",
    "symbol_color",
    "to_svg",
    "training_figure",
    "trajectory_figure",
    "transition_activity_figure",
    "transition_figure",
    "weight_block_figure",
    "window_figure",
]
