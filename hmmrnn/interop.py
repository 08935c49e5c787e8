"""Networks from and for PyTorch: checkpoints of a plain RNN with a linear readout.

The file is what the paper's authors publish (Torre et al. 2025): a state dict with

    rnn.weight_ih_l0 (N, D)    W_in        rnn.bias_ih_l0, rnn.bias_hh_l0 (N,)    b_rec is their sum
    rnn.weight_hh_l0 (N, N)    W_rec       fc.bias (K,)                           b_out
    fc.weight (K, N)           W_out

torch's RNN computes h_t = f(W_in x_t + b_ih + W_rec h_{t-1} + b_hh) from h_0 = 0, and reads symbol
t out of h_t, as the simulator does; so nothing is transposed or shifted. Which f, and the noise
level, stand in no such file. PyTorch is needed only when one of the two functions is called.
"""

import io
import re
import warnings
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.nets import NetConfig, Network, init_params, make_cell
from hmmrnn.storage import write_bytes

WEIGHTS = {
    "W_in": "rnn.weight_ih_l0",
    "W_rec": "rnn.weight_hh_l0",
    "W_out": "fc.weight",
}
BIASES = {
    "b_rec": ("rnn.bias_ih_l0", "rnn.bias_hh_l0"),
    "b_out": ("fc.bias",),
}
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs keep the state dict beside the optimiser's and the epoch."""

PREFIX = re.compile(r"^(?:module\.|_orig_mod\.)+")
"""What DataParallel and torch.compile put before every name."""


def load_torch(
    path: str | Path,
    *,
    activation: Literal["relu", "tanh"] = "relu",
    noise_std: float = 1.0,
) -> Network:
    """The network in a PyTorch checkpoint; nothing in the file is executed.

    `activation` and `noise_std` are those that it was trained with. Double and half precision
    become the precision that JAX is set to.

    Raises:
        InputError: PyTorch is missing; the file is missing, damaged, or holds more than tensors;
            its weights are not those of one plain recurrent layer `rnn` and a readout `fc`; or
            the noise level is negative.
    """
    torch = _torch()
    if not (isinstance(noise_std, Real) and np.isfinite(noise_std) and noise_std >= 0):
        raise InputError(f"noise_std={noise_std!r}: must be a finite number, 0 or more")
    weights = _weights(path, _state_dict(path, _read(torch, path)))
    params = {name: weights[key] for name, key in WEIGHTS.items()}
    n_units, noise_dim = params["W_in"].shape
    n_symbols = len(params["W_out"])
    bias = any(key in weights for keys in BIASES.values() for key in keys)
    if bias:
        for (name, keys), size in zip(BIASES.items(), (n_units, n_symbols), strict=True):
            params[name] = sum((weights[k] for k in keys if k in weights), np.zeros(size))
    config = NetConfig(n_units, noise_dim, activation, bias)
    return Network(
        params={name: jnp.asarray(w, jnp.result_type(float)) for name, w in params.items()},
        cell=make_cell(config, n_symbols),
        noise_std=jnp.asarray(noise_std, jnp.result_type(float)),
    )


def save_torch(path: str | Path, network: Network) -> None:
    """Write the parameters of `network` as a state dict that `torch.load` reads.

    It fits a module whose `rnn` is `torch.nn.RNN(D, N, nonlinearity=...)` and whose `fc` is
    `torch.nn.Linear(N, K)`, both with `bias=False` unless the network has biases. Nonlinearity,
    noise level and a random initial state are not part of it.

    Raises:
        InputError: PyTorch is missing, the cell leaks (torch's RNN has no leak), or the
            parameters do not fit the cell, such as those of several networks at once.
        StorageError: the file could not be written; one that was there before is unchanged.
    """
    torch = _torch()
    if network.leak != 1:
        raise InputError(f"leak={network.leak}: torch's RNN has none; only leak=1 can be written")
    expected = jax.eval_shape(lambda: init_params(network.cell, jax.random.key(0)))
    found = {name: p.shape for name, p in network.params.items()}
    if found != {name: p.shape for name, p in expected.items()}:
        raise InputError(f"params: shapes {found} do not fit one network of {network.cell}")
    state = {key: network.params[name] for name, key in WEIGHTS.items()}
    if network.cell.bias:
        ih, hh = BIASES["b_rec"]
        state |= {ih: network.params["b_rec"], hh: jnp.zeros(network.hidden_size)}
        state |= {BIASES["b_out"][0]: network.params["b_out"]}
    content = io.BytesIO()
    torch.save({key: torch.tensor(np.asarray(value)) for key, value in state.items()}, content)
    write_bytes(Path(path), content.getvalue())


def _torch() -> ModuleType:
    try:
        import torch
    except ImportError:
        raise InputError(
            "torch is not installed, and checkpoints of PyTorch need it; "
            "install it with: pip install 'hmmrnn[torch]'"
        ) from None
    return torch


def _read(torch: ModuleType, path: str | Path) -> Any:  # noqa: ANN401
    """What is in the file, by the reader that knows tensors and plain containers only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats; the error below says enough
            return torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # damage makes it raise nearly anything
        found = re.search(r"Unsupported (?:global|class): GLOBAL ([\w.]+)", str(error))
        if found:
            raise InputError(
                f"{path}: holds {found[1]}, not tensors alone; nothing in it was executed. "
                "Ask for a file made by torch.save(model.state_dict(), ...)"
            ) from None
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise InputError(
            f"{path}: is damaged or no checkpoint of tensors ({type(error).__name__}: "
            f"{reason[:120]}); nothing in it was executed"
        ) from None


def _state_dict(path: str | Path, content: Any) -> dict[str, Any]:  # noqa: ANN401
    """The tensors by their names, out of what they are wrapped in."""
    if isinstance(content, Mapping):
        wrapped = (content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping))
        content = next(wrapped, content)
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, not a state dict")
    return {PREFIX.sub("", str(key)): tensor for key, tensor in content.items()}


def _weights(path: str | Path, state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """All tensors of a plain RNN, checked, in double precision."""
    known = {*WEIGHTS.values(), *(key for keys in BIASES.values() for key in keys)}
    missing = [key for key in WEIGHTS.values() if key not in state]
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}; its names are {_shown(state)}")
    unknown = sorted(set(state) - known)
    if unknown:
        raise InputError(
            f"{path}: also has {_shown(unknown)}; only one plain recurrent layer with a linear "
            "readout can be read"
        )
    for key, value in state.items():
        if not getattr(value, "is_floating_point", lambda: False)():
            raise InputError(f"{path}: {key} is no tensor of real numbers")
        if value.is_meta or str(value.layout) != "torch.strided":
            raise InputError(f"{path}: {key} is a tensor without its numbers, or a sparse one")
        if value.numel() > value.untyped_storage().nbytes() // value.element_size():
            raise InputError(f"{path}: {key} claims more numbers than the file holds")
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    _expect_plain(path, shapes)
    weights = {key: value.detach().double().numpy() for key, value in state.items()}
    most = float(np.finfo(np.float32).max)
    for key, value in weights.items():
        if not (np.isfinite(value).all() and np.abs(value).max(initial=0) <= most):
            raise InputError(f"{path}: {key} has entries that are not finite in single precision")
    return weights


def _expect_plain(path: str | Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise unless the shapes are those of a plain RNN and its readout."""
    into, recurrent, readout = (shapes[key] for key in WEIGHTS.values())
    if (
        len(recurrent) == 2
        and recurrent[1]
        and recurrent[0] in (3 * recurrent[1], 4 * recurrent[1])
    ):
        kind = "a GRU" if recurrent[0] == 3 * recurrent[1] else "an LSTM"
        raise InputError(
            f"{path}: rnn.weight_hh_l0 has shape {recurrent}, that of {kind}; "
            "only plain RNNs can be read"
        )
    n_units, noise_dim = recurrent[-1:] or (0,), into[-1:] or (0,)
    expected = {
        "rnn.weight_hh_l0": (*n_units, *n_units),
        "rnn.weight_ih_l0": (*n_units, *noise_dim),
        "fc.weight": (*readout[:1], *n_units),
        "rnn.bias_ih_l0": n_units,
        "rnn.bias_hh_l0": n_units,
        "fc.bias": readout[:1],
    }
    for key, shape in expected.items():
        if key in shapes and (shapes[key] != shape or 0 in shape):
            raise InputError(
                f"{path}: {key} has shape {shapes[key]}, not {shape} as its other weights ask for"
            )


def _shown(names: Any) -> str:  # noqa: ANN401
    names = [str(name) for name in names]
    return (", ".join(names[:8]) or "none") + (", ..." if len(names) > 8 else "")
