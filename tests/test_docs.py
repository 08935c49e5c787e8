"""The pages: they build without a warning, and what they point to and call is there."""

import ast
import importlib.util
import re
import warnings
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from myst_parser.slugs import github_slugify
from sphinx.cmd.build import build_main

from hmmrnn.cli.console import DOORS
from hmmrnn.settings import option_types
from hmmrnn.training.config import SECTIONS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LARGEST_FIGURE = 60_000  # bytes


def named(path):
    return str(path.relative_to(ROOT))


def built(source, target):
    """Exit code of a build in this process, which has imported what the reference describes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Sphinx and its extensions, about each other
        return build_main(["-E", "-W", "--keep-going", "-q", "-b", "html", source, target])


def test_the_site_builds_without_a_warning(tmp_path, capfd):
    code = built(str(ROOT / "docs"), str(tmp_path / "site"))
    assert code == 0, capfd.readouterr().err
    pages = {path.relative_to(tmp_path / "site") for path in (tmp_path / "site").rglob("*.html")}
    assert {path.relative_to(ROOT / "docs").with_suffix(".html") for path in PAGES[1:]} <= pages
    fidelity = (tmp_path / "site" / "api" / "fidelity.html").read_text()
    assert 'id="hmmrnn.fidelity.compare"' in fidelity
    assert "nats; KL(generated n-grams | exact law)" in fidelity  # a comment behind a field
    assert "Alias for field number" not in fidelity
    rotation = (tmp_path / "site" / "analyses" / "rotation.html").read_text()
    assert "<math" in rotation
    assert '<script src="http' not in rotation  # formulas need no script from elsewhere


@pytest.mark.parametrize(
    "text",
    ["[there](nowhere.md)", "[there](#nowhere)", "![figure](nowhere.png)", "$\\nonsense{x}$"],
    ids=["page", "anchor", "figure", "formula"],
)
def test_the_build_notices(tmp_path, text, capfd):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conf.py").write_text((ROOT / "docs" / "conf.py").read_text())
    (tmp_path / "docs" / "index.md").write_text(f"# A page\n\n{text}\n")
    assert built(str(tmp_path / "docs"), str(tmp_path / "site")) != 0
    assert "index.md:3: WARNING" in capfd.readouterr().err


@cache
def tokens(path):
    parsed = MarkdownIt("commonmark").enable("table").parse(path.read_text())
    return [*parsed, *(inner for token in parsed for inner in token.children or [])]


@cache
def anchors(path):
    found = tokens(path)
    titles = [found[i + 1] for i, token in enumerate(found) if token.type == "heading_open"]
    return {github_slugify("".join(part.content for part in title.children)) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    targets = [token.attrGet("href") or token.attrGet("src") for token in tokens(page)]
    for target in filter(None, targets):
        if re.match(r"[a-z]+:", target):
            continue  # elsewhere; nothing is looked up there
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{target} is not there"
        assert ROOT in there.parents, f"{target} leads out of the repository"
        if anchor:
            assert anchor in anchors(there), f"{target}: no such heading"


IN_CHECKOUT = r"python -m (?:experiments|benchmarks|scripts)\b.*|python scripts/.*"
PROGRAM = re.compile(rf"(?<!import )(?<!from )\bhmmrnn [a-z].*|{IN_CHECKOUT}")


def commands(page):
    """Command lines in blocks and in text that call a program of this repository."""
    code = [token.content for token in tokens(page) if token.type in ("fence", "code_inline")]
    lines = [line for text in code for line in text.replace("\\\n", " ").splitlines()]
    calls = (re.search(PROGRAM, x) for x in lines)
    return [call[0].partition("#")[0].split() for call in calls if call]


@cache
def module(name):
    spec = importlib.util.find_spec(name)
    return ast.parse(Path(spec.origin).read_text()) if spec and spec.origin else None


@cache
def flags_of(name, function=None):
    """Flags that a program defines when it is run, or that one of its functions defines."""
    tree, found = module(name), {"help"}
    whole = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    body = [n for n in tree.body if getattr(n, "name", None) == function] if function else whole
    elsewhere = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("hmmrnn.cli.")
        for alias in node.names
    }
    for call in (x for node in body for x in ast.walk(node) if isinstance(x, ast.Call)):
        called = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if called.startswith("DEFINE_") and isinstance(call.args[0], ast.Constant):
            found.add(call.args[0].value)
        elif called == "define_options":
            for section in SECTIONS.values():
                found |= {f"{section.section}.{option}" for option in option_types(section)}
        elif called.startswith("define_"):
            found |= flags_of(*elsewhere.get(called, (name, called)))
    return found


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=named)
def test_commands_exist_with_their_flags(page):
    for program, *arguments in commands(page):
        if program == "hmmrnn":
            door, *given = arguments
            assert door in DOORS, f"hmmrnn {door}: no such door"
            expect_flags(given, flags_of(f"hmmrnn.cli.{door}", "define_flags"))
        elif arguments[0] != "-m":
            assert (ROOT / arguments[0]).exists(), f"{arguments[0]} is not there"
        else:
            name, *given = arguments[1:]
            assert module(name) is not None, f"python -m {name}: no such program"
            if name.startswith("experiments."):
                expect_flags(given, flags_of(name))


def expect_flags(arguments, known):
    given = [re.match(r"--([\w.]*)", x)[1] for x in arguments if x.startswith("--")]
    unknown = [x for x in given if x not in known and x.removeprefix("no") not in known]
    assert not unknown, f"there are no flags {unknown}"


def test_a_command_that_is_not_there_would_be_noticed():
    """The two readers above, on programs whose flags are known."""
    train, dynamics = (flags_of(f"hmmrnn.cli.{x}", "define_flags") for x in ("train", "dynamics"))
    assert {"preset", "outdir", "resume", "train.learning_rate"} <= train
    assert {"run", "runs", "n_starts", "analysis_seed"} <= dynamics
    assert "preset" not in dynamics
    assert {"outdir", "table"} <= flags_of("experiments.loss_study")
    assert module("experiments.nothing") is None
    assert ["hmmrnn", "reproduce", "--preset=linear3"] in [
        call[:3] for call in commands(ROOT / "README.md")
    ]


@pytest.mark.parametrize("page", ["analyses/interventions.md", "contributing.md"])
def test_examples_run_from_the_first_to_the_last(page, capsys):
    fences = (x for x in tokens(ROOT / "docs" / page) if (x.type, x.info) == ("fence", "python"))
    exec(compile("\n".join(x.content for x in fences), page, "exec"), {"__name__": "example"})
    assert "nan" not in capsys.readouterr().out


def test_figures_are_small_and_used():
    used = {
        (page.parent / token.attrGet("src")).resolve()
        for page in PAGES
        for token in tokens(page)
        if token.type == "image"
    }
    for figure in (ROOT / "docs" / "figures").iterdir():
        assert figure.stat().st_size <= LARGEST_FIGURE, figure.name
        assert figure.resolve() in used, f"{figure.name} is on no page"
