"""EPUB: the chapters of the spine, each an XHTML file (EPUB 3.3, "Open Container Format" and "Packages")."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from workers.tools.documents.html import parse, to_markdown
from workers.tools.documents.parts import DocumentRefused, Part
from workers.tools.documents.xml_parts import DC_TITLE, ParseError, read_xml

CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
OPF = "{http://www.idpf.org/2007/opf}"
ENCRYPTION = "{http://www.w3.org/2001/04/xmlenc#}"
# Fonts are obfuscated rather than encrypted, and nobody needs them here.
FONT_ALGORITHMS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
CHAPTER_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


class EpubDocument:
    unit = "chapter"
    batch = 1

    def __init__(self, path: Path, name: str) -> None:
        self.warnings: list[str] = []
        self._name = name
        self._archive = zipfile.ZipFile(path)
        try:
            self._refuse_drm()
            self._read_package()
        except (KeyError, ParseError, ValueError) as error:
            self._archive.close()
            raise DocumentRefused(
                f"{name} is damaged: its list of chapters cannot be read ({error}). Download it again."
            ) from error
        if not self._chapters:
            self._archive.close()
            raise DocumentRefused(f"{name} has no chapters with text.")

    @property
    def count(self) -> int:
        return len(self._chapters)

    def parts(self, numbers: Sequence[int]) -> Iterator[Part]:
        for number in numbers:
            chapter = self._chapters[number - 1]
            soup = parse(self._archive.read(chapter))
            yield Part(markdown=to_markdown(soup.body or soup, self._name))

    def close(self) -> None:
        self._archive.close()

    def _read_package(self) -> None:
        root_file = read_xml(self._archive, "META-INF/container.xml").find(f".//{CONTAINER}rootfile")
        if root_file is None:
            raise ValueError("it names no package")
        package_path = unquote(root_file.get("full-path", ""))
        package = read_xml(self._archive, package_path)
        self.title = " ".join((package.findtext(f".//{DC_TITLE}") or "").split()) or None
        manifest = {item.get("id", ""): item for item in package.iterfind(f"{OPF}manifest/{OPF}item")}
        present = set(self._archive.namelist())
        self._chapters: list[str] = []
        for reference in package.iterfind(f"{OPF}spine/{OPF}itemref"):
            item = manifest.get(reference.get("idref", ""))
            if item is None or item.get("media-type") not in CHAPTER_TYPES:
                continue
            if "nav" in item.get("properties", "").split():
                continue
            href = unquote(item.get("href", "").partition("#")[0])
            path = posixpath.normpath(posixpath.join(posixpath.dirname(package_path), href))
            if path in present:
                self._chapters.append(path)
            else:
                self.warnings.append(f"The chapter {href} is missing from the book.")

    def _refuse_drm(self) -> None:
        if "META-INF/encryption.xml" not in self._archive.namelist():
            return
        methods = read_xml(self._archive, "META-INF/encryption.xml").iter(f"{ENCRYPTION}EncryptionMethod")
        if any(method.get("Algorithm") not in FONT_ALGORITHMS for method in methods):
            raise DocumentRefused(
                f"{self._name} is protected against copying (DRM) and cannot be read here. Send a copy without "
                "protection, if you have one."
            )
