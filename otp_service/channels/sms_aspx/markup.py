"""Damaged markup made plain: what no parser takes is left with bare tags and text, so that patterns can read it.

A pattern on the raw text is blind: it sees what a comment hides, and not what CDATA, an entity or an attribute wraps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape

# What nothing ends reaches to the end of the text: that keeps a text full of beginnings linear.
_PIECE = re.compile(
    r"<!--(?:.*?-->|.*)"
    r"|<!\[CDATA\[(?:(?P<literal>.*?)\]\]>|.*)"
    r"|<\?[^<>]*>"
    r"""|<(?:\w+:)?(?P<start>[A-Za-z_]\w*)(?:[\s/](?:[^<>"']|"[^<"]*"|'[^<']*')*)?>"""
    r"|</(?:\w+:)?(?P<end>[A-Za-z_]\w*)\s*>?"
    r"|;/(?P<damaged>[A-Za-z]+);",
    re.DOTALL,
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);")
_NOT_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_TAG = re.compile(r"<(/?)(\w+)>")


def plain(text: str) -> str:
    """Tags in lower case without prefix and attributes, text escaped, no comments; `;/tag;` ends a tag begun before."""
    return "".join(_pieces(text))


def text_of(value: str) -> str:
    """What stands between two tags of plain markup, unescaped and trimmed."""
    return unescape(value).strip()


def is_whole(markup: str) -> bool:
    """Whether plain markup ends as it began: a connection that closes early cuts the end."""
    tags = _TAG.findall(markup)
    if not tags:
        return False
    root = tags[0][1]
    return tags[-1] == ("/", root) and tags.count(("", root)) <= tags.count(("/", root))


def _pieces(text: str) -> Iterator[str]:
    begun = set[str]()
    last = 0
    for found in _PIECE.finditer(text):
        if last < found.start():
            yield _escaped(text[last : found.start()])
        last = found.end()
        if start := found["start"]:
            begun.add(start.lower())
            yield f"<{start.lower()}>" + (f"</{start.lower()}>" if found[0].endswith("/>") else "")
        elif end := found["end"]:
            yield f"</{end.lower()}>"
        elif damaged := found["damaged"]:
            yield f"</{damaged.lower()}>" if damaged.lower() in begun else found[0]
        elif literal := found["literal"]:
            yield escape(_visible(literal), quote=False)
    yield _escaped(text[last:])


def _escaped(text: str) -> str:
    return escape(_visible(_ENTITY.sub(lambda found: unescape(found[0]), text)), quote=False)


def _visible(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
