"""How the pages are built: `sphinx-build -W --keep-going -b html docs build/docs`."""

import ast
import dataclasses
import inspect
import re
import textwrap
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

project = "hmmrnn"
author = "the authors of hmmrnn"
html_title = "hmmrnn"
html_theme = "furo"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
nitpicky = True
nitpick_ignore_regex = [("py:.*", r".*")]  # types of jax, numpy and jaxtyping have no page here

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
add_module_names = False
default_role = "code"  # docstrings mark code by single backticks, as Markdown does
highlight_language = "text"

KEY = r"~?[\w.]*Key\[[^]]*\](?: \| ~?[\w.]*UInt32\[[^]]*\])+"  # how jaxtyping spells a key
BLOCK = '<div style="margin: 1rem 0; padding: 0.5rem 0; overflow-x: auto">{}</div>'


def as_text(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ANN401
    """Docstrings are plain text: indented blocks are verbatim, and stars and bars mathematics.

    Of a record, the comments behind its fields follow.
    """
    verbatim = False
    for i, line in enumerate(lines):
        indented = line.startswith("    ")
        if indented and i > 1 and not lines[i - 1] and lines[i - 2].endswith(":"):
            verbatim = True
            lines[i - 2] += ":"
        verbatim = verbatim and (indented or not line)
        if not verbatim:
            lines[i] = escaped(line)
    if what == "class":
        lines += ["", *(f"* ``{field}``: {escaped(said)}" for field, said in said_of(obj).items())]


def escaped(line: str) -> str:
    """A line in which reStructuredText sees nothing but code in backticks."""
    parts = re.split(r"(`[^`]*`)", line)
    parts[::2] = [re.sub(r"[*|\\]|_(?=\W|$)", r"\\\g<0>", part) for part in parts[::2]]
    return "".join(parts)


def said_of(record: type) -> dict[str, str]:
    """Comments behind the fields of a record, and help texts of options."""
    if not (dataclasses.is_dataclass(record) or hasattr(record, "_fields")):
        return {}
    source = textwrap.dedent(inspect.getsource(record))
    rows, found = source.splitlines(), {}
    for node in ast.parse(source).body[0].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            said = rows[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
            if isinstance(node.value, ast.Call) and len(node.value.args) > 1:
                said = ast.literal_eval(node.value.args[1])
            if said.strip(" #"):
                found[node.target.id] = said.strip(" #")
    return found


def short_names(app: Sphinx, *event: Any) -> tuple[str | None, ...]:  # noqa: ANN401
    """Signatures name arrays as their users do."""
    names = (part and part.replace("jaxlib._jax.", "") for part in event[-2:])
    return tuple(part and re.sub(KEY, "Key", part) for part in names)


def hide_aliases(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool:  # noqa: ANN401
    """Leave out what Python says of the fields of a NamedTuple: "Alias for field number 0"."""
    return skip or type(obj).__name__ == "_tuplegetter"


def with_title(app: Sphinx, docname: str, content: list[str]) -> None:
    """The table that the loss study writes has no heading of its own."""
    if docname == "loss_study":
        content[0] = "# Medians of the loss study\n\n" + content[0]


def mathml(node: nodes.math | nodes.math_block, *, as_block: bool) -> str:
    """A formula as MathML, which browsers draw without a script from elsewhere."""
    try:
        return tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("formula: %s", error, location=node)
        return ""


def visit_math(translator: Any, node: nodes.math) -> None:  # noqa: ANN401
    """Write a formula in a line."""
    translator.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(translator: Any, node: nodes.math_block) -> None:  # noqa: ANN401
    """Write a displayed formula."""
    translator.body.append(BLOCK.format(mathml(node, as_block=True)))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Add what no extension does."""
    app.connect("autodoc-process-docstring", as_text, priority=1)
    app.connect("autodoc-process-signature", short_names)
    app.connect("source-read", with_title)
    app.connect("autodoc-skip-member", hide_aliases)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
