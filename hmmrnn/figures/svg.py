"""Figures as files: SVG that can stand in a page, with its text colour and its width, or PNG."""

import io
import re
from html import escape
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hmmrnn.figures.style import FOREGROUND, RC
from hmmrnn.storage import write_bytes, write_text

FONTS = "system-ui, Helvetica, Arial"
PNG_DPI = 160
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def to_svg(figure: Figure, name: str) -> str:
    """`figure` as an <svg> element, always the same for the same figure.

    It takes its width from what surrounds it and its text colour from currentColor; `name` opens
    all its ids, so that several figures can stand in one page.
    """
    file = io.StringIO()
    with matplotlib.rc_context({**RC, "svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(file, metadata=NO_METADATA)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", svg, flags=re.DOTALL)
    svg = _with_numbered_clips(svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace(FOREGROUND, "currentColor").replace("'DejaVu Sans'", FONTS)
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None
    label = escape(str(figure.get_label()) or name)
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{box.group()} width="100%" role="img" aria-label="{label}" '
        'style="stroke-linejoin: round; stroke-linecap: butt">'
    )
    return root + svg[svg.index(">") + 1 :]


def _with_numbered_clips(svg: str) -> str:
    """Clip paths named by their order.

    Matplotlib names them by a hash of where the axes are, and in that the last bits of a layout
    differ from one process to the next.
    """
    for i, name in enumerate(re.findall(r'<clipPath id="([^"]*)"', svg)):
        svg = re.sub(rf'(<clipPath id="|url\(#){name}\b', rf"\g<1>clip{i}", svg)
    return svg


def save(folder: Path, name: str, figure: Figure) -> Path:
    """Write `figure` to figures/NAME.svg of a run folder. Raises `StorageError`."""
    path = folder / "figures" / f"{name}.svg"
    write_text(path, to_svg(figure, name))
    return path


def save_png(path: Path, figure: Figure) -> None:
    """Write `figure` on white to a PNG file, for documents. Raises `StorageError`."""
    file = io.BytesIO()
    with matplotlib.rc_context({**RC, "figure.facecolor": "white", "savefig.facecolor": "white"}):
        figure.set_dpi(PNG_DPI)
        FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
    write_bytes(path, file.getvalue())
