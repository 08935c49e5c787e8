"""The baseline computes the same as ours where both get the same draws."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import net_of

from benchmarks.__main__ import PARTS, main
from benchmarks.plan import Plan
from hmmrnn.losses import reference
from hmmrnn.nets import init_params, straight_through
from hmmrnn.training.data import make_data, step_batch
from hmmrnn.training.step import make_optimizer

from .programs import rows_of_all_parts

torch = pytest.importorskip("torch")
pytest.importorskip("geomloss")

B, T = 64, 6
NAMES = {"W_in": "rnn.weight_ih_l0", "W_rec": "rnn.weight_hh_l0", "W_out": "readout.weight"}


@pytest.fixture(scope="module")
def plan():
    return Plan(rounds=1, small=True)


@pytest.fixture(scope="module")
def config(plan):
    return plan.config(B, T)


@pytest.fixture(scope="module")
def params(config):
    return init_params(config.cell, jax.random.key(0))


@pytest.fixture(scope="module")
def noise(config):
    return jax.random.normal(jax.random.key(1), (B, T, config.net.noise_dim))


@pytest.fixture
def trainer(plan, config, params):
    """The baseline with our weights."""
    trainer = plan.trainer(config)
    trainer.model.load_state_dict({NAMES[k]: plan.torch.tensor(p) for k, p in params.items()})
    return trainer


def run(config, params, noise):
    start = jnp.zeros(config.net.hidden_size)
    return jax.vmap(lambda x: net_of(config.cell, params).run(start, x))(noise)


def test_hidden_states_and_logits_are_equal(plan, config, params, noise, trainer):
    states, logits = trainer.model(plan.torch.tensor(noise))
    ours = run(config, params, noise)
    np.testing.assert_allclose(states.detach(), ours.states, atol=1e-5)
    np.testing.assert_allclose(logits.detach(), ours.logits, atol=1e-5)


def test_loss_and_its_gradient_are_equal(plan, config):
    data = make_data(config, jax.random.key(0))
    x, y = (step_batch(config, data, jax.random.key(seed)) for seed in (2, 3))
    graded = jax.value_and_grad(reference, has_aux=True)
    (value, _), gradient = jax.jit(graded)(x, y, jax.random.key(4))
    theirs = plan.torch.value_and_gradient(plan.torch.tensor(x), plan.torch.tensor(y))
    assert float(theirs[0]) == pytest.approx(float(value), rel=1e-4)
    np.testing.assert_allclose(theirs[1], gradient, atol=1e-3 * float(jnp.abs(gradient).max()))


def test_a_step_has_the_same_loss_and_gradient(monkeypatch, plan, config, params, noise, trainer):
    key = jax.random.key(5)
    target = step_batch(config, make_data(config, key), jax.random.key(6))

    def loss(params):
        x = straight_through(run(config, params, noise).logits, 1.0, key)
        return reference(x, target, key)[0]

    def draws(shape_of, **_):
        gumbel = plan.torch.tensor(jax.random.gumbel(key, shape_of.shape))
        return shape_of.copy_(torch.exp(-gumbel))

    # torch turns exponential draws e into Gumbel draws -log(e)
    monkeypatch.setattr(torch.Tensor, "exponential_", draws)
    theirs = trainer.loss(plan.torch.tensor(noise), plan.torch.tensor(target))
    theirs.backward()
    value, gradient = jax.jit(jax.value_and_grad(loss))(params)
    assert theirs.item() == pytest.approx(float(value), rel=1e-4)
    scale = float(optax.tree.norm(gradient))
    for name, parameter in trainer.model.named_parameters():
        (ours,) = (gradient[k] for k, there in NAMES.items() if there == name)
        np.testing.assert_allclose(parameter.grad, ours, atol=1e-4 * scale)


def test_the_optimisers_are_equal(plan, config, params, trainer):
    optimizer = make_optimizer(config)
    state = optimizer.init(params)
    theirs = dict(trainer.model.named_parameters())
    for i in range(3):
        gradient = {
            k: (0.001 if i else 1.0) * jax.random.normal(jax.random.key(i), p.shape)
            for k, p in params.items()
        }
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        for k, g in gradient.items():
            theirs[NAMES[k]].grad = plan.torch.tensor(g)
        trainer.update()
    for k, p in params.items():
        np.testing.assert_allclose(theirs[NAMES[k]].detach(), p, atol=1e-6)


def test_validation_and_generation_keep_no_gradient(plan, config, trainer):
    held_out = plan.torch.random_symbols(2 * B + 3, T, config.target.n_symbols)
    assert np.isfinite(trainer.validate(held_out, B))
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
    symbols = plan.torch.generate(trainer.model, 5, T)
    assert symbols.shape == (5, T)
    assert not symbols.requires_grad


@pytest.mark.slow
def test_all_parts_run(tmp_path):
    rows = rows_of_all_parts(tmp_path / "speed.md", "--rounds=1")
    alone = {row.split()[1] for row in rows if not row.split("|")[4].strip()}  # without a ratio
    assert alone == {"ensemble"}
    assert {row.split()[1] for row in rows} == set(PARTS) - {"checkouts"}


def test_one_part_runs_alone(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("benchmarks.__main__.set_global_switches", lambda: None)
    main(["losses", "--small", "--rounds=1", f"--out={tmp_path / 'speed.md'}"])
    printed = capsys.readouterr().out
    assert "losses B=64 T=6, hmmrnn" in printed
    assert (tmp_path / "speed.md").read_text() in printed


def test_a_disagreement_about_the_loss_ends_the_program(monkeypatch, plan):
    from benchmarks import losses

    monkeypatch.setattr(plan.torch, "value_and_gradient", lambda x, y: (torch.tensor(1.0), x))
    with pytest.raises(SystemExit, match="geomloss has 1"):
        next(losses.cases(plan))
