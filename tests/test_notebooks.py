"""The notebooks: committed without outputs, executed from a clean state, and right in substance."""

import base64
import importlib.util
import io
import os
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from matplotlib.image import imread
from nbclient import NotebookClient

from hmmrnn.cli.launch import compile_cache

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NAMES = (
    "1_train_and_look",
    "2_orbit_to_kick_circuit",
    "3_your_own_hmm_or_sequences",
    "4_circuit_discovery",
)
PATIENCE = 600
"""Seconds for each cell; a quiet machine needs a tenth of that."""

NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_all_notebooks_are_here():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
class TestAsCommitted:
    def test_is_valid_and_stripped(self, name):
        notebook = read(name)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert notebook.metadata == {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        assert [cell.id for cell in notebook.cells] == [
            f"cell-{i:02d}" for i in range(len(notebook.cells))
        ]
        assert all(cell.metadata == {} for cell in notebook.cells)
        for cell in code_cells(notebook):
            assert cell.outputs == []
            assert cell.execution_count is None

    @pytest.mark.parametrize("there", [True, False])
    def test_the_first_cell_installs_only_what_is_missing(self, name, there, monkeypatch):
        def find_spec(module):
            assert module == "hmmrnn"
            return object() if there else None

        class Shell:
            def run_line_magic(self, magic, line):
                calls.append((magic, line))

        calls = []
        monkeypatch.setattr(importlib.util, "find_spec", find_spec)
        monkeypatch.chdir(FOLDER)
        program = TransformerManager().transform_cell(code_cells(read(name))[0].source)
        variables = {"get_ipython": Shell}
        exec(program, variables)
        assert calls == ([] if there else [("pip", "install --quiet {SOURCE}")])
        assert (FOLDER / variables["SOURCE"] / "pyproject.toml").is_file()

    def test_the_first_cell_says_what_to_set_where_there_is_no_clone(
        self, name, monkeypatch, tmp_path
    ):
        monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
        (tmp_path / "content").mkdir()
        monkeypatch.chdir(tmp_path / "content")
        program = TransformerManager().transform_cell(code_cells(read(name))[0].source)
        with pytest.raises(FileNotFoundError, match="set SOURCE"):
            exec(program, {})

    def test_its_links_lead_somewhere(self, name):
        prose = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
        links = re.findall(r"\]\(([^)]+)\)", prose)
        assert links
        for link in links:
            assert link.startswith("https://arxiv.org/") or (FOLDER / link).is_file(), link


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A function that runs a notebook in an empty folder and returns what it printed."""

    def execute(name):
        place = tmp_path_factory.mktemp(name)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "IPYTHONDIR": str(place / "ipython"),  # without anybody's start-up files
            "JAX_COMPILATION_CACHE_DIR": str(compile_cache()),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        (place / "work").mkdir()
        notebook = read(name)
        where = {"metadata": {"path": str(place / "work")}}
        client = NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=where)
        client.execute(env=environment)
        outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
        streams = [output for output in outputs if output.output_type == "stream"]
        assert [s.text for s in streams if s.name != "stdout"] == []  # no warnings
        assert list((place / "work").iterdir()) == []  # and nothing left behind
        pictures = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
        shown = sum(len(re.findall(r"^show\(", cell.source, re.M)) for cell in code_cells(notebook))
        assert len(pictures) == shown > 0
        for picture in pictures:
            expect_on_white(imread(io.BytesIO(base64.b64decode(picture))))
        return "".join(s.text for s in streams)

    return execute


def expect_on_white(pixels):
    """A picture without transparency, white but for what is drawn and written in dark."""
    assert pixels.shape[2] == 3 or (pixels[..., 3] == 1).all()
    grey = pixels[..., :3].mean(-1)
    assert np.median(grey[[0, -1]]) == 1
    assert grey.min() < 0.1


def after(text, label, n=1):
    """The `n` numbers that follow `label` in what a notebook printed, where it first stands."""
    assert label in text, f"{label!r} is not in:\n{text}"
    found = re.findall(NUMBER, text.split(label, 1)[1])
    return float(found[0]) if n == 1 else [float(x) for x in found[:n]]


def test_train_and_look(executed):
    text = executed("1_train_and_look")
    exact = after(text, "volatility of the HMM: ")
    assert exact == pytest.approx(0.256, abs=1e-3)
    kl, low, high = after(text, "KL of 6-grams (nats): ", 3)
    assert 0 < low < kl < high
    assert kl < 0.02  # symbols that do not depend on each other: 0.63
    assert 0 < after(text, "; HMM sample ") < kl
    assert after(text, "volatility (per step): ") == pytest.approx(exact, rel=0.1)
    assert after(text, "net rotation: ") < 0.25  # back and forth


@pytest.mark.slow
def test_orbit_to_kick_circuit(executed):
    text = executed("2_orbit_to_kick_circuit")
    turns, low, _ = after(text, "net rotation: ", 3)
    assert turns > 0.6
    assert low > 0.5
    assert after(text, "time-reversed surrogates: ") < 0.01
    assert "300 of 300 end at the origin" in text
    assert after(text, "cluster: ") > 50
    assert after(text, "kick 0>2: ") > 0
    assert after(text, "kick 2>0: ") > 0
    untouched, n_kick, silent, control, fewest, most = after(text, "untouched: ", 6)
    assert 0 < n_kick < 75
    assert 0.01 < untouched < 0.05
    assert silent < untouched / 2
    assert control > untouched / 2
    assert silent < fewest <= control <= most


@pytest.mark.slow
def test_your_own_hmm_or_sequences(executed):
    text = executed("3_your_own_hmm_or_sequences")
    assert after(text, "KL of 6-grams: ") < 0.02
    volatility, exact = after(text, "volatility: ", 2)
    assert exact == pytest.approx(0.289, abs=1e-3)
    assert volatility == pytest.approx(exact, rel=0.1)
    kl, floor = after(text, "-grams from held-out data: ", 1), after(text, "training data ")
    assert 0 < floor < kl < 0.1
    for symbol in (0, 1):
        network, held_out, memoryless = after(text, f"CV of bouts of {symbol}: network ", 3)
        assert held_out < 0.3
        assert network < (held_out + memoryless) / 2  # it knows the age of a bout
        assert network == pytest.approx(held_out, rel=0.5)


@pytest.mark.slow
def test_circuit_discovery(executed):
    text = executed("4_circuit_discovery")
    for window, first, planted in (("hold", 0, 32), ("travel", 16, 64), ("keep", 73, 32)):
        label = f"{window}: steps "
        assert after(text, label) == first
        assert after(text.split(label, 1)[1], ", ") == planted
        assert after(text, f"{window}: AUPRC of the effects ") > 0.9
        size, faithfulness = after(text.split("path to the output", 1)[1], f"{window}: ", 2)
        assert 0 < size < 2 * planted
        assert faithfulness > 0.85
    ours, attribution, *_ = (after(text, f"{name}: ", 3) for name in ("intervention", "path cut"))
    assert min(ours) > 0.9
    assert min(attribution) > 0.9
    timing = {
        name: after(text.split(f"{name}: ", 1)[1], "timing ")
        for name in ("intervention", "weights out", "correlation", "random")
    }
    assert timing["intervention"] > 0.9
    assert timing["intervention"] > timing["weights out"] + 0.05
    assert max(timing["correlation"], timing["random"]) < 0.5
    assert after(text, "without a path to the output: ") == 0
