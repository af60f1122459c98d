"""HTML to Markdown; DOCX and EPUB go through here as well."""

# BeautifulSoup's tree mixes tags and strings, and markdownify has no types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUntypedBaseClass=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false, reportIncompatibleMethodOverride=false

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from markdownify import MarkdownConverter

from workers.tools.documents import markdown
from workers.tools.documents.parts import DocumentRefused, Part
from workers.tools.documents.text import decode

# Nothing of these is text for a reader.
INVISIBLE = (
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas", "head",
    "button", "input", "select", "textarea", "dialog",
)  # fmt: skip
BLOCKS = ("table", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote")
LANGUAGE = re.compile(r"(?:language|lang|highlight-source|brush:)[-:\s]?([\w+#-]+)")
MAX_SPAN = 100


class HtmlDocument:
    """One HTML file."""

    unit = "part"
    batch = 0
    count = 1

    def __init__(self, path: Path, name: str, base_url: str | None = None) -> None:
        self.warnings: list[str] = []
        self._soup = parse(path.read_bytes())
        title = self._soup.title
        self.title = " ".join(title.get_text().split()) or None if title is not None else None
        base = self._soup.find("base", href=True)
        self._base_url = urljoin(base_url or "", str(base["href"])) if isinstance(base, Tag) else base_url
        self._name = name

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        root = self._soup.body or self._soup
        main = [tag for tag in root.find_all("main") if not tag.has_attr("hidden")]
        notes: list[str] = []
        if len(main) == 1 and len(main[0].get_text(strip=True)) < len(root.get_text(strip=True)):
            root = main[0]
            notes.append(
                "Only the page's main part was converted; menus and the like around it were left out."
            )
        yield Part(markdown=to_markdown(root, self._name, self._base_url), notes=notes)

    def close(self) -> None:
        pass


def parse(content: bytes | str) -> BeautifulSoup:
    """The tree of a page, whose encoding is found as browsers do: mark, declaration, then guess."""
    if isinstance(content, bytes):
        declared = EncodingDetector.find_declared_encoding(content, is_html=True)
        decoded = decode(content)
        is_marked = decoded is not None and decoded[1] in ("utf-8", "utf-8-sig", "utf-16")
        if is_marked or not declared:
            content = decoded[0] if decoded is not None else content.decode("utf-8", "replace")
        else:
            content = _decode_as(content, declared)
    return BeautifulSoup(content, "lxml")


def _decode_as(content: bytes, encoding: str) -> str:
    try:
        # What declares itself Latin-1 is Windows text in practice, as browsers know.
        return content.decode(
            "cp1252" if encoding.lower() in ("iso-8859-1", "latin-1") else encoding, "replace"
        )
    except LookupError:
        return content.decode("utf-8", "replace")


def to_markdown(root: Tag, name: str, base_url: str | None = None) -> str:
    """The Markdown of a part of the tree, which is consumed. Links are completed with base_url."""
    for tag in root.find_all(INVISIBLE):
        tag.decompose()
    for tag in root.find_all(_is_hidden):
        if not tag.decomposed:
            tag.decompose()
    try:
        text = str(_Converter(base_url).process_tag(root, parent_tags=set()))
    except RecursionError as error:
        raise DocumentRefused(f"{name} is nested too deeply to be a document.") from error
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+(?=\n)", "", text)).strip()


def _is_hidden(tag: Tag) -> bool:
    style = str(tag.get("style") or "").replace(" ", "").lower()
    return tag.has_attr("hidden") or "display:none" in style or tag.get("aria-hidden") == "true"


_Markdownify: Any = MarkdownConverter  # whose type stub knows two of its methods


class _Converter(_Markdownify):
    """markdownify with GitHub's tables, complete links, safe fences and lists that number in linear time."""

    def __init__(self, base_url: str | None) -> None:
        super().__init__(
            heading_style="ATX", bullets="-", wrap=True, wrap_width=None, newline_style="backslash", sub_symbol="<sub>",
            sup_symbol="<sup>", autolinks=False,
        )  # fmt: skip
        self._base_url = base_url

    def escape(self, text: str, parent_tags: set[str]) -> str:
        return markdown.escape(text)

    def process_tag(self, node: Tag, parent_tags: set[str] | None = None) -> str:
        parents = parent_tags or set()
        if node.name == "table" and "table" not in parents and not _is_layout(node):
            return self._table(node, parents)
        return super().process_tag(node, parent_tags=parents)

    def convert_p(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return super().convert_p(el, markdown.escape_line_start(text.strip()), parent_tags)

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        target = self._target(str(el.get("href") or ""))
        if not target or not text.strip() or "_noformat" in parent_tags or "[" in text:
            return text
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return before + markdown.link(" ".join(text.split()), target) + after

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        alt = markdown.escape(" ".join(str(el.get("alt") or "").split()))
        source = str(el.get("src") or "")
        target = self._target(source) if urlsplit(source).scheme in ("http", "https", "") else ""
        if target and self._base_url:
            return f"!{markdown.link(alt, target)}"
        return f"[Image: {alt}] " if alt else ""

    def convert_br(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if parent_tags & {"td", "th"}:
            return "<br>"
        return str(super().convert_br(el, text, parent_tags))

    def convert_pre(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if not text.strip() or "_inline" in parent_tags:
            return markdown.code_span(" ".join(text.split())) if text.strip() else ""
        names = " ".join([*_classes(el), *(c for code in el.find_all("code") for c in _classes(code))])
        language = LANGUAGE.search(names)
        return f"\n\n{markdown.fence(text.strip(chr(10)), language[1] if language else '')}\n\n"

    def convert_list(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if "_inline" in parent_tags:
            return " " + " ".join(text.split()) + " "
        return f"\n{text.rstrip()}\n" if "li" in parent_tags else f"\n\n{text.rstrip()}\n\n"

    convert_ul = convert_list
    convert_ol = convert_list

    def convert_li(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        text = text.strip()
        if "_inline" in parent_tags:
            return f"{text}; "
        bullet = "- "
        parent = el.parent
        if parent is not None and parent.name == "ol":
            # The counter lives on the list, so that a long one is not walked again for every item.
            start = str(parent.get("start") or "1")
            number = int(str(parent.attrs.get("data-next", start if start.isdigit() else "1")))
            parent.attrs["data-next"] = str(number + 1)
            bullet = f"{number}. "
        return bullet + text.replace("\n", "\n" + " " * len(bullet)) + "\n"

    def convert_dt(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        term = " ".join(text.split())
        return (
            f"\n\n**{term}**\n\n"
            if term and "_inline" not in parent_tags and "*" not in term
            else f"\n\n{term}\n\n"
        )

    def convert_dd(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"\n\n{text.strip()}\n\n"

    def _target(self, href: str) -> str:
        """Where a link leads outside the document; nothing for links inside it and for scripts."""
        href = href.strip()
        if not href or href.startswith("#"):
            return ""
        scheme = urlsplit(href).scheme.lower() if not re.match(r"^\w:\\", href) else "file"
        if not scheme:
            return urljoin(self._base_url, href) if self._base_url else ""
        return href if scheme in ("http", "https", "mailto", "ftp", "tel") else ""

    def _table(self, table: Tag, parents: set[str]) -> str:
        rows: list[list[str]] = []
        for row in table.find_all("tr"):
            if row.find_parent("table") is not table:
                continue
            cells: list[str] = []
            for item in row.find_all(["td", "th"], recursive=False):
                text = str(self.process_tag(item, parent_tags={*parents, "table", "tr"}))
                cells.append(" ".join(text.split()))
                cells += [""] * (min(MAX_SPAN, _number(item.get("colspan"))) - 1)
            if any(cells):
                rows.append(cells)
        caption = table.find("caption")
        title = markdown.escape(" ".join(caption.get_text().split())) if isinstance(caption, Tag) else ""
        return f"\n\n{title}\n\n{markdown.table(rows)}\n\n" if rows else ""

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f" {text.strip()} "

    convert_th = convert_td

    def convert_tr(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"\n\n{text.strip()}\n\n"

    def convert_table(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"\n\n{text.strip()}\n\n"


def _is_layout(table: Tag) -> bool:
    """A table that only places things: one column, or whole sections in its cells."""
    if table.get("role") == "presentation":
        return True
    rows = [row.find_all(["td", "th"], recursive=False) for row in table.find_all("tr")]
    if not any(len(row) > 1 for row in rows):
        return table.find(BLOCKS) is not None
    return any(cell.find(["table", "pre", "h1", "h2", "h3"]) is not None for row in rows for cell in row)


def _classes(tag: Tag) -> list[str]:
    value: Any = tag.get("class") or []
    return [str(name) for name in (value if isinstance(value, list) else [value])]


def _number(value: object) -> int:
    return int(str(value)) if str(value or "").isdigit() and int(str(value)) > 0 else 1
