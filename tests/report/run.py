"""A run folder filled by hand, without training or measuring."""

import json
import re
from html.parser import HTMLParser

import numpy as np
from figures.records import development, fidelity, fit, portrait, spread

from hmmrnn import figures
from hmmrnn.dynamics import Across
from hmmrnn.figures.catalogue import CIRCUITS, DISCOVERY, DYNAMICS, FIDELITY, TRAINING
from hmmrnn.intervals import Estimate
from hmmrnn.storage import plain, write_arrays, write_json, write_text
from hmmrnn.training.run_folder import RunSpec, open_run

from .analysis import PAIRS, analysis
from .circuit_analysis import circuit_analysis
from .discovery_analysis import of_run

VOID = {"meta", "link", "br", "img", "hr", "input"}
MANIFEST = {
    "status": "finished",
    "seed": 3,
    "wall_time_s": 12.5,
    "device": "1 x cpu",
    "platform": "Linux x86_64, Python 3.12.1",
    "versions": {"hmmrnn": "0.1.0", "jax": "0.10.2"},
    "commit": None,
}
WHOLE = [d.name for d in (*TRAINING, *FIDELITY, *DYNAMICS, *CIRCUITS) if not d.each]
"""Names of figures of the whole network, and of those of pairs of symbols."""
OF_PAIRS = [drawing.name for drawing in CIRCUITS if drawing.each]
FIGURES = (
    *(name for name in WHOLE if name != "circuit_shared"),  # two pairs share too little
    *(f"flow_{a}_{b}" for a, b in PAIRS),
    *(f"{name}_0_2" for name in OF_PAIRS),
    *(f"{name}_2_0" for name in ("circuit_holding", "circuit_kick", "circuit_carriers")),
    *(f"{d.name}_0_2" for d in DISCOVERY if d.name != "discovery_precision"),
)
SKETCH = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"><path d="M0 0 4 3"/></svg>'
LOSS = np.array([5.0, 2.0, 0.6, 0.1234], np.float32)

SISTERS = Across(
    {"seed0": Estimate(1, 0.9, 1.1), "seed1": Estimate(2, 1.9, 2.1)}, Estimate(1.5, 1, 2), 2
)


def fill(
    folder,
    config,
    *,
    faithful=None,
    moving=None,
    analysed=None,
    circuits=None,
    discovered=None,
    manifest=MANIFEST,
    drawn=False,
    **others,
):
    """Write all files of a run of `config` but the view; `others` are records of its history.

    `moving` is the portrait and `analysed` all else of dynamics.json, `circuits` what circuits.json
    holds, `discovered` what discovery.json does. Figures are sketches unless `drawn`, and so are
    those then that tests of their own draw.
    """
    analysed = analysis() if analysed is None else analysed
    circuits = circuit_analysis() if circuits is None else circuits
    faithful, moving = faithful or fidelity(), moving or portrait()
    record = fit(config, LOSS, floor=(0.05, 0.02), **others)
    open_run(folder, RunSpec(config, 1.0, 3), resume=False, overwrite=False)
    write_json(folder / "manifest.json", manifest)
    write_json(folder / "fidelity.json", faithful)
    write_json(folder / "dynamics.json", {**plain(moving), **analysed})
    write_json(folder / "circuits.json", circuits)
    write_json(folder / "discovery.json", of_run() if discovered is None else discovered)
    history = {"epoch": np.arange(1, 5), **record.records.arrays()}
    write_arrays(
        folder / "history.npz",
        {**history, "floor_mean": record.floor.mean, "floor_std": record.floor.std},
    )
    drawings = {
        "training": lambda: figures.training_figure(record, 0.256),
        "transitions": lambda: figures.transition_figure(faithful),
        "ngrams": lambda: figures.ngram_figure(faithful),
        "dwell": lambda: figures.dwell_figure(faithful),
        "trajectories": lambda: figures.trajectory_figure(moving),
        "development": lambda: figures.development_figure(
            development(), LOSS, 0.05, spread(np.geomspace(1, 0.01, 7))
        ),
        "networks": lambda: figures.networks_figure({"number": SISTERS}, "seed0"),
    }
    for name in FIGURES:
        svg = figures.to_svg(drawings[name](), name) if drawn and name in drawings else SKETCH
        write_text(folder / "figures" / f"{name}.svg", svg)
    return folder


def contents(folder):
    """Fidelity and dynamics as the report reads them."""
    return [json.loads((folder / f"{name}.json").read_text()) for name in ("fidelity", "dynamics")]


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, text, <data> values."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.words, self.data = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open, self.open
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "data":
            self.data.append((float(dict(attributes)["value"]), ""))

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(text)
        if self.open[-1:] == ["data"]:
            self.data[-1] = (self.data[-1][0], self.data[-1][1] + text)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
