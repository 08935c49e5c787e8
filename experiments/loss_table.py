"""The records of the loss study as a CSV file, a Markdown table of medians and a figure."""

import csv
import io
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from experiments.loss_grid import LOSSES, PRESETS, STEPS
from hmmrnn.errors import InputError
from hmmrnn.figures import loss_figure, save_png
from hmmrnn.storage import read_json, write_text

Record = dict[str, Any]
SETTING = ("preset", "loss", "batch_size", "data", "steps")
USUAL_BATCH = 256  # in the figure, other batches are named
COLUMNS = {  # of the Markdown table: title, key, format
    "KL 2-grams": ("kl2", "{:.4f}"),
    "KL 4-grams": ("kl4", "{:.4f}"),
    "KL 6-grams": ("kl6", "{:.4f}"),
    "excess surprise": ("excess_surprise", "{:+.4f}"),
    "dwell CV": ("dwell_cv", "{:.2f}"),
    "rotation": ("rotation", "{:.2f}"),
    "steps to goal": ("steps_to_goal", "{:.0f}"),
    "seconds to goal": ("seconds_to_goal", "{:.0f}"),
    "ms per step": ("ms_per_step", "{:.0f}"),
}


def write_table(folder: Path, target: Path) -> None:
    """Write target.csv, target.md and target.png from the records in `folder`.

    Raises:
        InputError: `folder` has no records, or one of another study.
    """
    records = [_record(path) for path in sorted(folder.glob("*.json"))]
    if not records:
        raise InputError(f"{folder}: holds no records of the study")
    losses = list(LOSSES)
    records.sort(key=lambda r: (PRESETS.index(r["preset"]), losses.index(r["loss"]), *_rest(r)))
    write_text(target.with_suffix(".csv"), as_csv(records))
    write_text(target.with_suffix(".md"), as_markdown(records))
    shown = sorted(
        (r for r in records if r["data"] == "fresh"),
        key=lambda r: (losses.index(r["loss"]), r["batch_size"], r["steps"]),
    )
    figure = loss_figure([{**record, "loss": _label(record)} for record in shown])
    save_png(target.with_suffix(".png"), figure)


def _record(path: Path) -> Record:
    record = read_json(path)
    if record.get("loss") not in LOSSES or record.get("preset") not in PRESETS:
        raise InputError(f"{path}: is no record of this study; take it out of the folder")
    return record


def as_csv(records: list[Record]) -> str:
    """One line for each run; an empty cell where the goal was not reached."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: _rounded(value) for name, value in record.items()} for record in records
    )
    return file.getvalue()


def as_markdown(records: list[Record]) -> str:
    """One line for each setting: median over seeds, worst seed beside the KL of 6-grams."""
    settings: dict[tuple, list[Record]] = defaultdict(list)
    for record in records:
        record = {**record, "ms_per_step": 1000 * record["seconds_per_step"]}
        settings[tuple(record[name] for name in SETTING)].append(record)
    head = ["target", "loss", "batch", "data", "steps", "seeds", *COLUMNS]
    lines = [head, ["---"] * len(head)]
    for setting, runs in settings.items():
        cells = [_cell(runs, key, form) for key, form in COLUMNS.values()]
        lines.append([*map(str, setting), str(len(runs)), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(runs: list[Record], key: str, form: str) -> str:
    values = [run[key] for run in runs if run[key] is not None]
    if not values:
        return "never" if key.endswith("to_goal") else "none"
    text = form.format(statistics.median(values))
    if key == "kl6":
        return f"{text} (worst {form.format(max(values))})"
    if len(values) < len(runs):
        return f"{text} ({len(values)} of {len(runs)})"
    return text


def _label(record: Record) -> str:
    """The loss, with batch and steps where they are not the usual ones."""
    parts = [record["loss"]]
    if record["batch_size"] != USUAL_BATCH:
        parts.append(f"batch {record['batch_size']}")
    if record["steps"] != STEPS:
        parts.append(f"{record['steps']} steps")
    return ", ".join(parts)


def _rest(record: Record) -> tuple[int, str, int, int]:
    return record["batch_size"], record["data"], record["steps"], record["seed"]


def _rounded(value: Any) -> Any:  # noqa: ANN401
    return f"{value:.6g}" if isinstance(value, float) else value
