"""What the page shows of dynamics.json."""

from typing import Any

from hmmrnn.report.summary import estimate, number, readable


def dynamics_section(fields: dict[str, Any]) -> dict[str, Any] | None:
    """The portrait; None if nothing was measured, and only the reason if nothing could be.

    Raises:
        KeyError, TypeError, ValueError, IndexError: fields of another form.
    """
    if not fields:
        return None
    if "problem" in fields:
        return {"problem": str(fields["problem"])}
    counts = ("n_starts", "n_settled", "n_distinct")
    return {
        "problem": None,
        "explained": [number(share) for share in fields["plane"]["explained"]],
        "transitions_per_step": estimate(fields["transitions_per_step"]),
        "dwell_cv": estimate(fields["dwell_cv"]),
        "rotation": estimate(fields["rotation"]),
        "end": {name: int(fields["end"][name]) for name in counts},
        "distance": number(fields["end"]["distance_from_origin"]),
        "n_trajectories": int(fields["n_trajectories"]),
        "n_steps": int(fields["n_steps"]),
    }


def deep_section(fields: dict[str, Any]) -> dict[str, Any] | None:
    """All other measures, None unless they were made.

    Raises:
        KeyError, TypeError: fields of another form.
    """
    if "regime" not in fields:
        return None
    development = fields["development"]
    left_out = ("transitions_per_step", "rotation", "critical_share", "unstable_share", "explained")
    kept = ("orbit", "surrogates", "emission_by_phase", "readout", "noise_levels", "regime")
    near = ("zones", "critical_share", "n_states", "censored_share", "noise_sensitivity")
    return {
        **{name: readable(fields[name]) for name in (*kept, *near, "mean_shift")},
        "pairs": [readable(pair) for pair in fields["pairs"]],
        "fixed_points": {"summary": str(fields["fixed_points"]["summary"])},
        "development": None
        if development is None
        else readable({k: v for k, v in development.items() if k not in left_out}),
        "networks": None
        if fields["networks"] is None
        else {
            name: {"mean": estimate(entry["mean"]), "n_valid": int(entry["n_valid"])}
            for name, entry in fields["networks"].items()
        },
    }
