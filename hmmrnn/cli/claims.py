r"""Judge the claims about how these networks work, over many networks.

    hmmrnn claims --runs='runs/zoo/*' --outdir=runs/claims
    hmmrnn claims --runs='runs/zoo/*' --outdir=runs/claims \
        --others='runs/batch_sizes/*' --others='runs/sizes/*'

Takes seconds: it reads what `hmmrnn evaluate`, dynamics and circuits wrote into the run folders
(each of them takes --runs as well) and says of which networks something is missing. Writes
claims.json, claims.md and report.html. `--others` are networks of other sizes and batch sizes for
the claims that compare such, C14 and the hypothesis. Every rule is a docstring in hmmrnn/claims,
and stands on the page.
"""

import itertools
import shlex
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from hmmrnn.claims import Evidence, Ledger, ledger, read_evidence
from hmmrnn.cli.launch import command_line
from hmmrnn.cli.run_folders import matching
from hmmrnn.errors import InputError
from hmmrnn.figures.catalogue import CLAIMS, own_files, save_figures
from hmmrnn.folders import CONFIG, owned, replacing
from hmmrnn.report import build_claims_page
from hmmrnn.results import fields
from hmmrnn.storage import write_results

FLAGS = flags.FLAGS
STEPS = {"fidelity": "evaluate", "dynamics": "dynamics", "circuits": "circuits"}
"""Which command makes which measure."""

FILES = ("claims.json", "claims.md", "report.html")
OF_OTHERS = ("fidelity", "dynamics")
"""What is asked of networks that are only compared."""


def write(folder: Path, found: Ledger, commands: Sequence[str]) -> tuple[Path, ...]:
    """Write claims.json, figures and pages, all or none; returns the paths of the pages."""
    with replacing(folder, "claims", own_files(CLAIMS, *FILES)) as beside:
        save_figures(beside, CLAIMS, found.turnings)
        numbers = {"commands": commands, **fields(found)}
        write_results(beside / FILES[0], numbers, network=None)
        return tuple(folder / page.name for page in build_claims_page(beside))


def what_is_missing(networks: Sequence[Evidence], pattern: str, steps: Sequence[str]) -> list[str]:
    """A line for each analysis that some networks lack, with the command that makes it."""
    lines = []
    for measure in steps:
        lacking = [n for n in networks if not getattr(n, measure) and measure not in n.problems]
        if lacking:
            lines.append(
                f"{len(lacking)} of {len(networks)} networks have no {measure}.json: "
                f"{analysis(measure, pattern)}"
            )
    return lines


def analysis(measure: str, pattern: str) -> str:
    """The command that makes a measure of all networks that lack it."""
    return f"hmmrnn {STEPS[measure]} --runs={shlex.quote(pattern)} --missing_only"


def commands() -> list[str]:
    """How the page is made from the run folders."""
    made = [analysis(measure, FLAGS.runs) for measure in STEPS]
    made += [analysis(measure, pattern) for pattern in FLAGS.others for measure in OF_OTHERS]
    return [*made, command_line()]


def define_flags() -> None:
    """Which networks are judged, and where the pages go."""
    flags.DEFINE_string("runs", None, "pattern of run folders, in quotes", required=True)
    flags.DEFINE_multi_string(
        "others", [], "pattern of networks of other sizes and batch sizes; may be given again"
    )
    flags.DEFINE_string("outdir", None, "folder to write to", required=True)


def main() -> None:
    """Read, judge, write and print the verdicts over all presets."""
    folder = Path(FLAGS.outdir)
    if (folder / CONFIG).exists():
        raise InputError(f"outdir={folder}: holds a run of a network; give another folder")
    networks = [read_evidence(path) for path in matching(FLAGS.runs)]
    others = {name: [*map(read_evidence, matching(name))] for name in FLAGS.others}
    missing = what_is_missing(networks, FLAGS.runs, [*STEPS])
    for pattern, members in others.items():
        missing += what_is_missing(members, pattern, OF_OTHERS)
    print(*missing, sep="\n", end="\n" if missing else "")
    found = ledger(networks, [*itertools.chain(*others.values())])
    with owned(folder):
        pages = write(folder, found, commands())
    for row in found.rows:
        if row.preset == "all":
            print(f"{row.claim:5} {row.loss:12} {row.verdict:21} {row.sentence}")
    print(*pages, sep="\n")
