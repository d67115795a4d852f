"""Pages as HTML: one file each, CSS and script inside, nothing loaded from anywhere else.

Values are escaped by the template engine, always; SVG and JSON that we make ourselves are marked as
safe here and escaped where they are made. A content security policy allows exactly our own style
and script by their hashes, so that nothing that slipped in could run.
"""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from famulus.journal.facts.sentence import Strong

ASSETS = Path(__file__).parents[1] / "assets"


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8").strip()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        # names and notes come from files that anyone may have written
        autoescape=True,
        # a missing fact must fail a test, not leave a hole in a page
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["strong"] = lambda part: isinstance(part, Strong)
    return environment


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def policy() -> str:
    """The content security policy of every page (also fit for a server's header)."""
    return (
        "default-src 'none'; "
        f"style-src {_hash(_asset('style.css'))}; script-src {_hash(_asset('script.js'))}; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'"
    )


def page(template: str, home: str, **values: Any) -> str:
    """A whole page of `assets/<template>`; `home` leads to the journal's folder."""
    style, script = Markup(_asset("style.css")), Markup(_asset("script.js"))
    values |= {"policy": policy(), "style": style, "script": script, "home": home}
    return _environment().get_template(template).render(values)


@cache
def _markdown() -> MarkdownIt:
    # notes of a store that came from elsewhere must not run here
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def notes_html(text: str) -> Markup:
    """A person's Markdown; raw HTML stays text, headings step down below the page's own."""
    tokens = _markdown().parse(text)
    for token in tokens:
        # a page has one first heading, its own
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + 2)}"
    return Markup(_markdown().renderer.render(tokens, _markdown().options, {}))


def json_block(value: Any) -> Markup:
    """JSON for a script element: no character can end the element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
