"""SVG files put into the page: only drawings, so that the page stays safe and self-contained."""

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup

from hmmrnn.errors import InputError
from hmmrnn.figures.catalogue import Drawing, names_in

ELEMENTS = {"svg", "g", "defs", "path", "use", "text", "tspan", "clipPath", "rect", "circle"}


def inline_figures(
    folder: Path, drawings: Iterable[Drawing], newer: Path | None = None
) -> dict[str, Markup | None]:
    """Every figure that the page has a place for, from the folder `newer` if it has it.

    None for one that is not drawn.

    Raises:
        InputError: one of them is damaged.
    """
    found: dict[str, Markup | None] = {}
    for name in names_in(folder, drawings):
        places = [place / "figures" / f"{name}.svg" for place in (newer, folder) if place]
        found[name] = next((inline_svg(path) for path in places if path.exists()), None)
    return found


def inline_svg(path: Path) -> Markup:
    """The figure in `path` for use in HTML.

    Raises:
        InputError: it is damaged, or holds anything but a drawing without outside references.
    """
    try:
        svg = path.read_text(encoding="utf-8")
        problem = _problem(svg)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        problem = str(error)
    if problem:
        raise InputError(
            f"{path}: is damaged or no figure of hmmrnn ({problem}); delete it and draw it again"
        )
    return Markup(svg)


def _problem(svg: str) -> str | None:
    """What a drawing may not hold; comments and the like, as HTML reads them in its own way."""
    if "<!" in svg or "<?" in svg:
        return "comment, declaration or instruction"
    for element in ElementTree.fromstring(svg).iter():
        tag = re.sub(r"^\{.*\}", "", str(element.tag))
        if tag not in ELEMENTS:
            return f"element {tag}"
        for key, value in element.attrib.items():
            name = re.sub(r"^\{.*\}", "", key).lower()
            outside = name == "href" and not value.startswith("#")
            if name.startswith("on") or outside or re.search(r"url\((?!#)", value):
                return f"attribute {name}"
    return None
