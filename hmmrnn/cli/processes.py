"""Several processes that share a sweep: found and numbered by JAX, otherwise on their own.

The networks of a sweep know nothing of each other, so the processes only need to know who is who.
"""

import jax
from jax.experimental import multihost_utils

from hmmrnn.errors import InputError


def join(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> tuple[int, int]:
    """Number of this process and of all, once all are there.

    On SLURM, Open MPI, Kubernetes and cloud TPUs JAX finds the rest by itself.

    Raises:
        InputError: nobody told which processes there are, or they could not be reached.
    """
    try:
        # one that is killed must not take the others with it
        jax.config.update("jax_enable_recoverability", True)
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"distributed: {reason}; where JAX does not find the processes by itself, give "
            "--coordinator=HOST:PORT --num_processes=N --process_id=I"
        ) from None
    return jax.process_index(), jax.process_count()


def all_are_there() -> None:
    """Wait until every process has come here."""
    multihost_utils.sync_global_devices("all are there")


def leave() -> None:
    """Take leave of process 0 while it is still there; it waits for nobody by itself."""
    jax.distributed.shutdown()
