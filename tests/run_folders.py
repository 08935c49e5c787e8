"""Changes of run folders as the programs would make them: listed, and with digests that fit."""

from hmmrnn.folders import CONFIG, MANIFEST, read_manifest, replacing
from hmmrnn.storage import digest_of_json, write_json, write_text

SKETCH = '<svg xmlns="http://www.w3.org/2000/svg"/>'


def leave(folder, by, **texts):
    """Files that `by` left, by their names."""
    with replacing(folder, by) as beside:
        for name, text in texts.items():
            write_text(beside / name, text)


def sketch(folder, by, *names):
    """Figures that `by` left."""
    leave(folder, by, **{f"figures/{name}.svg": SKETCH for name in names})


def reconfigure(folder, fields):
    """Another configuration, of which the manifest knows."""
    write_json(folder / CONFIG, fields)
    write_json(folder / MANIFEST, {**read_manifest(folder), "config": digest_of_json(fields)})
