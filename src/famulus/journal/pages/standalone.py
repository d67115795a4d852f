"""The curves of an entry as one SVG file, for the Markdown twin and for papers."""

from html import escape

from famulus.journal.pages.figures import Figure
from famulus.journal.pages.plot import render_panels

ACROSS, GAP, TITLE = 3, 16, 18
# its own: a file that is opened alone has no page's style
STYLE = """text{font:11px sans-serif;fill:#6a645a}
.h{font-size:12px;fill:#211f1b}.e{text-anchor:end}.c{text-anchor:middle}
path{fill:none;stroke-width:1}.g{stroke:#e2ddd2;stroke-width:.7}.a{stroke:#6a645a;stroke-width:.7}
.t{opacity:.8}.v{stroke-width:1.9}.o{stroke-width:5;stroke-linecap:round}
path.f{stroke:#6a645a;stroke-dasharray:5 4}.m path{stroke:#85650c;stroke-dasharray:2 3}
.b{stroke:none;opacity:.16}.c0{stroke:#2f6fb0}.c1{stroke:#bd5c14}.c2{stroke:#2b7d57}
.c3{stroke:#8a4fa3}.c4{stroke:#b3382c}.c5{stroke:#0e828d}.c6{stroke:#87700f}.c7{stroke:#6b6257}"""


def svg_file(made: Figure) -> str:
    """A whole SVG document on white paper; '' without any curve."""
    if not made.traces:
        return ""
    panels, (wide, high) = render_panels(made, "q"), made.size
    across = min(ACROSS, len(panels))
    rows = -(-len(panels) // across)
    width = across * (wide + GAP) + GAP
    height = rows * (high + TITLE + GAP) + GAP
    body = []
    for n, (title, svg) in enumerate(panels):
        x = GAP + n % across * (wide + GAP)
        y = GAP + n // across * (high + TITLE + GAP)
        body.append(f'<text class="h" x="{x}" y="{y + 10}">{escape(title or made.score)}</text>')
        place = f'<svg x="{x}" y="{y + TITLE}" width="{wide}" height="{high}" '
        # the first only: a panel may hold more
        body.append(svg.replace("<svg ", place, 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><style>{STYLE}</style>'
        # papers and viewers with a dark ground: curves are drawn for white
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(body)}</svg>\n'
    )
