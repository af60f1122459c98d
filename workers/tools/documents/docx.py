"""DOCX: mammoth maps Word's styles to HTML, which becomes Markdown."""

# mammoth has no types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mammoth

from workers.tools.documents.html import parse, to_markdown
from workers.tools.documents.parts import Part
from workers.tools.documents.xml_parts import core_title

# Beside mammoth's own: what Word's built-in styles mean in Markdown.
STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p > em:fresh
p[style-name='Quote'] => blockquote > p:fresh
p[style-name='Intense Quote'] => blockquote > p:fresh
p[style-name='HTML Preformatted'] => pre:separator('\\n')
p[style-name='Code'] => pre:separator('\\n')
p[style-name='Source Code'] => pre:separator('\\n')
p[style-name='Plain Text'] => pre:separator('\\n')
p[style-name='macro'] => pre:separator('\\n')
r[style-name='HTML Code'] => code
r[style-name='Code'] => code
r[style-name='Verbatim Char'] => code
r[style-name='Source Code Char'] => code
p[style-name='List Bullet'] => ul > li:fresh
p[style-name='List Bullet 2'] => ul|ol > li > ul > li:fresh
p[style-name='List Bullet 3'] => ul|ol > li > ul|ol > li > ul > li:fresh
p[style-name='List Number'] => ol > li:fresh
p[style-name='List Number 2'] => ul|ol > li > ol > li:fresh
p[style-name='List Number 3'] => ul|ol > li > ul|ol > li > ol > li:fresh
strike => s
"""
LEFT_OUT = {
    "oMath": "Equations were left out.",
    "chart": "Charts were left out.",
    "altChunk": "Embedded documents were left out.",
}


class DocxDocument:
    unit = "part"
    batch = 0
    count = 1

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self.warnings: list[str] = []
        self.title = core_title(path)

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        with self._path.open("rb") as file:
            result: Any = mammoth.convert_to_html(
                file, style_map=STYLES, convert_image=mammoth.images.img_element(_without_data)
            )
        soup = parse(f"<body>{result.value}</body>")
        for back in soup.select('a[href^="#footnote-ref-"], a[href^="#endnote-ref-"]'):
            back.decompose()
        said = " ".join(str(message.message) for message in result.messages)
        notes = [note for name, note in LEFT_OUT.items() if name in said]
        yield Part(markdown=to_markdown(soup.body or soup, self._name), notes=notes)

    def close(self) -> None:
        pass


def _without_data(image: Any) -> dict[str, str]:
    """Only the alternative text is kept; mammoth would put the picture itself into the HTML."""
    return {"src": "", "alt": str(image.alt_text or "")}
