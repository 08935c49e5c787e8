import dataclasses
import pathlib
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

import hmmrnn as hr
from hmmrnn import InputError, interop, nets

N, D, K = 150, 100, 3


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def plain_rnn(torch, nonlinearity="relu", bias=False, sizes=(N, D, K), double=False):
    """The module of the paper's authors: an RNN and a linear readout."""

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            n, d, k = sizes
            self.rnn = torch.nn.RNN(d, n, nonlinearity=nonlinearity, bias=bias, batch_first=True)
            self.fc = torch.nn.Linear(n, k, bias=bias)

        def forward(self, x):
            states, _ = self.rnn(x)
            return states, self.fc(states)

    torch.manual_seed(7)
    return Plain().double() if double else Plain()


def small(torch, **kwargs):
    return plain_rnn(torch, sizes=(5, 2, 3), **kwargs).state_dict()


def network(activation="relu", bias=False, **cell):
    config = nets.NetConfig(hidden_size=N, noise_dim=D, activation=activation, bias=bias)
    cell = dataclasses.replace(nets.make_cell(config, K), **cell)
    params = nets.init_params(cell, jax.random.key(1))
    return net_of(cell, params, jnp.float32(1))


def states_and_logits(net, noise):
    run = nets.rollout(net.cell, net.params, jnp.zeros(net.cell.hidden_size), jnp.asarray(noise))
    return np.asarray(run.states), np.asarray(run.logits)


NOISE = np.random.default_rng(0).normal(size=(100, D)).astype(np.float32)


def same(torch, module, net):
    """Hidden states and logits of 100 steps of noise, in torch and in the simulator."""
    with torch.no_grad():
        theirs = module(torch.tensor(NOISE)[None].to(module.fc.weight.dtype))
    for own, their in zip(states_and_logits(net, NOISE), theirs, strict=True):
        assert np.abs(own).max() > 0.1
        np.testing.assert_allclose(own, their[0].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("nonlinearity", "bias"), [("relu", False), ("relu", True), ("tanh", True)]
)
def test_a_checkpoint_of_torch_runs_here_as_it_does_there(torch, tmp_path, nonlinearity, bias):
    module = plain_rnn(torch, nonlinearity, bias)
    torch.save(module.state_dict(), tmp_path / "theirs.pth")
    net = hr.interop.load_torch(tmp_path / "theirs.pth", activation=nonlinearity)
    assert isinstance(net, nets.Network)
    assert (net.cell.bias, net.cell.activation, net.cell.initial_state) == (
        bias,
        nonlinearity,
        "zero",
    )
    same(torch, module, net)


def test_weights_that_were_saved_as_parameters_are_read(torch, tmp_path):
    module = plain_rnn(torch)
    torch.save(dict(module.named_parameters()), tmp_path / "theirs.pth")
    same(torch, module, hr.interop.load_torch(tmp_path / "theirs.pth"))


@pytest.mark.parametrize(("activation", "bias"), [("relu", False), ("tanh", True)])
def test_a_network_of_ours_runs_in_torch_and_comes_back_unchanged(
    torch, tmp_path, activation, bias
):
    net, path = network(activation, bias), tmp_path / "ours.pth"
    hr.interop.save_torch(path, net)
    module = plain_rnn(torch, activation, bias)
    module.load_state_dict(torch.load(path, weights_only=True))  # strict: no name lacks or is left
    same(torch, module, net)
    back = hr.interop.load_torch(path, activation=activation, noise_std=1.0)
    assert back.cell == net.cell
    assert jax.tree.all(jax.tree.map(jnp.array_equal, back, net))


def test_doubles_wrappers_and_prefixes(torch, tmp_path):
    module = plain_rnn(torch, double=True)
    plain = module.state_dict()
    wrapped = {
        "bare": plain,
        "parallel": {f"module.{name}": w for name, w in plain.items()},
        "compiled": {f"_orig_mod.module.{name}": w for name, w in plain.items()},
        **{key: {"epoch": 3, key: plain, "optimizer": {}} for key in interop.WRAPPERS},
    }
    for name, content in wrapped.items():
        torch.save(content, tmp_path / name)
        net = hr.interop.load_torch(tmp_path / name, noise_std=2)
        assert net.params["W_rec"].dtype == jnp.float32
        assert np.array_equal(net.params["W_rec"], plain["rnn.weight_hh_l0"].float().numpy())
        assert float(net.noise_std) == 2
    same(torch, module, net)


def test_the_analyses_take_it(torch, tmp_path, linear3):
    torch.save(small(torch), tmp_path / "a.pth")
    net = hr.interop.load_torch(tmp_path / "a.pth")
    found = hr.fidelity.compare(
        net, linear3, jax.random.key(0), n_sequences=64, n_steps=8, n_long=8, n_long_steps=20,
        n_matched=8,
    )  # fmt: skip
    assert found.kl[2].network.value > 0
    points = hr.dynamics.find_fixed_points(net, jax.random.key(1), n_starts=8)
    assert points.from_origin.min() < 1e-3  # without biases the origin is one of them


class Malice:
    """Unpickled as pickle would, it makes a file."""

    def __init__(self, path, via):
        self.path, self.via = path, via

    def __reduce__(self):
        return self.via, (self.path,)


def test_a_malicious_file_is_refused_and_not_executed(torch, tmp_path):
    mark = tmp_path / "executed"
    for via in (pathlib.Path.touch, subprocess.check_call):
        evil = Malice(mark if via is pathlib.Path.touch else ["touch", str(mark)], via)
        for name, content in (("top", evil), ("deep", {**small(torch), "fc.bias": evil})):
            torch.save(content, tmp_path / name)
            with pytest.raises(InputError) as raised:
                hr.interop.load_torch(tmp_path / name)
            assert "nothing in it was executed" in str(raised.value)
            assert "\n" not in str(raised.value)
            assert not mark.exists()
    with (tmp_path / "top").open("wb") as file:
        pickle.dump(evil, file)
    with pytest.raises(InputError, match="nothing in it was executed"):
        hr.interop.load_torch(tmp_path / "top")
    assert not mark.exists()
    torch.load(tmp_path / "deep", weights_only=False)  # the trap would have sprung
    assert mark.exists()


def test_a_whole_model_is_refused_by_its_class(torch, tmp_path):
    torch.save(torch.nn.RNN(2, 3), tmp_path / "model.pth")
    with pytest.raises(InputError, match=r"torch\.nn\.modules\.rnn\.RNN"):
        hr.interop.load_torch(tmp_path / "model.pth")


def test_files_that_are_no_checkpoint(torch, tmp_path):
    torch.save(small(torch), tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "folder").mkdir()
    contents = {"empty": b"", "text": b"hello\n", "cut": whole[:700], "tail": whole[700:]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "a.npz", a=np.ones(3))
    for name in (*contents, "a.npz", "folder", "absent"):
        with pytest.raises(InputError) as raised:
            hr.interop.load_torch(tmp_path / name)
        assert str(raised.value).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(raised.value)


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


WRONG = {
    "a Tensor": (lambda torch, state: torch.ones(3), "holds a Tensor, not a state dict"),
    "another model": (
        lambda torch, state: {"conv1.weight": torch.ones(3)},
        r"has no rnn\.weight_ih_l0, .*its names are conv1\.weight",
    ),
    "no readout": (lambda torch, state: without(state, "fc.weight"), r"has no fc\.weight"),
    "two layers": (
        lambda torch, state: {**state, "rnn.weight_ih_l1": torch.ones(5, 5)},
        r"also has rnn\.weight_ih_l1; only one plain recurrent layer",
    ),
    "transposed": (
        lambda torch, state: {**state, "fc.weight": state["fc.weight"].T},
        r"fc\.weight has shape \(5, 3\), not \(5, 5\)",
    ),
    "no matrix": (
        lambda torch, state: {**state, "rnn.weight_hh_l0": torch.ones(5)},
        r"rnn\.weight_hh_l0 has shape \(5,\), not \(5, 5\)",
    ),
    "short bias": (
        lambda torch, state: {**state, "rnn.bias_hh_l0": torch.ones(4)},
        r"rnn\.bias_hh_l0 has shape \(4,\), not \(5,\)",
    ),
    "integers": (
        lambda torch, state: {**state, "fc.weight": torch.ones(3, 5, dtype=torch.int32)},
        r"fc\.weight is no tensor of real numbers",
    ),
    "a number": (lambda torch, state: {**state, "fc.weight": 3}, "is no tensor of real numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_weights_are_named(torch, tmp_path, case):
    change, message = WRONG[case]
    torch.save(change(torch, small(torch)), tmp_path / "a.pth")
    with pytest.raises(InputError, match=message):
        hr.interop.load_torch(tmp_path / "a.pth")


@pytest.mark.parametrize(("kind", "name"), [("GRU", "a GRU"), ("LSTM", "an LSTM")])
def test_gated_networks_are_refused(torch, tmp_path, kind, name):
    gated = getattr(torch.nn, kind)(2, 5, bias=False)
    state = {f"rnn.{key}": w for key, w in gated.state_dict().items()}
    torch.save({**state, "fc.weight": torch.ones(3, 5)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=f"that of {name}; only plain RNNs"):
        hr.interop.load_torch(tmp_path / "a.pth")


@pytest.mark.parametrize("noise_std", [-1.0, float("nan"), float("inf")])
def test_the_noise_level_is_checked(torch, tmp_path, noise_std):
    torch.save(small(torch), tmp_path / "a.pth")
    with pytest.raises(InputError, match="noise_std="):
        hr.interop.load_torch(tmp_path / "a.pth", noise_std=noise_std)


def test_what_torch_cannot_run_is_not_written(torch, tmp_path):
    leaky = network(leak=0.5)
    several = network()
    several = dataclasses.replace(
        several, params={name: w[None] for name, w in several.params.items()}
    )
    for net, message in ((leaky, "leak=0.5"), (several, "do not fit one network")):
        with pytest.raises(InputError, match=message):
            hr.interop.save_torch(tmp_path / "a.pth", net)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "call",
    [hr.interop.load_torch, lambda path: hr.interop.save_torch(path, network())],
    ids=["load", "save"],
)
def test_a_missing_torch_is_one_line_with_the_remedy(monkeypatch, tmp_path, call):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"pip install 'hmmrnn\[torch\]'") as raised:
        call(tmp_path / "a.pth")
    assert "\n" not in str(raised.value)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, hmmrnn; hmmrnn.interop.load_torch; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
