"""Shared set-up: shapes and types are checked at run time, compiled code is kept between runs."""

import gc
import os
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

from jaxtyping import install_import_hook
from runtime_types import where_arrays_are

gc.set_threshold(20_000, 10, 10)  # traced programs are many small objects, few of them garbage
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # PyTorch's threads would spin for the cores

LIBRARIES = ("flax.linen", "matplotlib.pyplot", "optax", "orbax.checkpoint", "ott", "scipy.stats")
for name in LIBRARIES:  # within the hook they would be compiled from their sources anew
    import_module(name)
with (
    patch("jaxtyping.jaxtyped", where_arrays_are),
    install_import_hook("hmmrnn", "runtime_types.checked"),
):
    import hmmrnn

    for name in {*hmmrnn.__all__} - {"discovery", "figures", "report"}:  # these unchecked
        getattr(hmmrnn, name)

import jax
import pytest
from xdist.scheduler import LoadFileScheduling

from hmmrnn import TrainConfig, hmm, programs
from hmmrnn.cli.launch import CACHE_VARIABLE, choose_cpu_products, compile_cache

QUICK = (
    "--xla_backend_optimization_level=1",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
"""Half the compiler's work, which is most of the tests' time; level 0 makes slow programs."""


def compile_quickly():
    """Also in the programs that tests start; flags in XLA_FLAGS, which come first, undo it."""
    given = os.environ.get("XLA_FLAGS", "")
    chosen = [flag for flag in QUICK if flag.partition("=")[0] not in given]
    os.environ["XLA_FLAGS"] = " ".join([given, *chosen]).strip()


compile_quickly()
choose_cpu_products()  # as the programs do, so that their runs can be repeated here bit by bit
os.environ.setdefault(CACHE_VARIABLE, str(Path("~/.cache/hmmrnn/tests").expanduser()))
programs.FEW_MAPPINGS = programs.MANY_MAPPINGS  # tests of many cells share a process
jax.config.update("jax_compilation_cache_dir", str(compile_cache()))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_num_cpu_devices", 4)  # simulated, for tests of many devices; others use one


class ByFolder(LoadFileScheduling):
    """The tests of one folder run in one process: they share cells, sizes and compiled programs."""

    def _split_scope(self, nodeid):
        return nodeid.partition("::")[0].rpartition("/")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return ByFolder(config, log)


def pytest_collection_modifyitems(items):
    """The largest folder begins, so that none is left to one process at the end."""
    items.sort(key=lambda item: "/cli/" not in item.nodeid)


@pytest.fixture(scope="module", autouse=True)
def _few_compiled_programs():
    """Forget compiled code before a process has so much of it that XLA aborts."""
    yield
    programs.forget_programs_if_many()


@pytest.fixture(scope="session")
def linear3():
    return hmm.preset("linear3")


@pytest.fixture(scope="session")
def smoke(linear3):
    """A configuration that trains in seconds."""
    return TrainConfig.profile("smoke", linear3)
