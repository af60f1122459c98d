"""What openpyxl leaves out when it streams a sheet: its hyperlinks, and whether it has formulas at all."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from workers.tools.documents.xml_parts import ParseError, chunks, elements, read_xml

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}"
LINKS = re.compile(rb"<(\w+:)?hyperlink\s")
FORMULAS = re.compile(rb"<(\w+:)?f[\s>/]")


@dataclass(frozen=True, slots=True)
class SheetExtras:
    """links: target by the cell's coordinate ("B4")."""

    links: dict[str, str] = field(default_factory=dict[str, str])
    has_formulas: bool = False


def read_extras(path: Path, sheet: str) -> SheetExtras:
    """Of the sheet with this name; a workbook in which they cannot be found has none."""
    has_formulas = has_links = False
    try:
        with zipfile.ZipFile(path) as archive:
            member = _member(archive, sheet)
            for chunk in chunks(archive, member):
                has_formulas = has_formulas or FORMULAS.search(chunk) is not None
                has_links = has_links or LINKS.search(chunk) is not None
            return SheetExtras(_links(archive, member) if has_links else {}, has_formulas)
    except (KeyError, ParseError):
        return SheetExtras(has_formulas=has_formulas)


def _member(archive: zipfile.ZipFile, sheet: str) -> str:
    book = read_xml(archive, "xl/workbook.xml")
    key = next(item.get(RELATION) for item in book.iter(f"{MAIN}sheet") if item.get("name") == sheet)
    target = _targets(archive, "xl/_rels/workbook.xml.rels")[key or ""]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _links(archive: zipfile.ZipFile, member: str) -> dict[str, str]:
    folder, _, file = member.rpartition("/")
    targets = _targets(archive, f"{folder}/_rels/{file}.rels")
    links: dict[str, str] = {}
    for link in elements(archive, member, f"{MAIN}hyperlink", discard=f"{MAIN}sheetData"):
        target = targets.get(link.get(RELATION, ""))
        if target:
            links[link.get("ref", "").split(":")[0]] = target
    return links


def _targets(archive: zipfile.ZipFile, member: str) -> dict[str, str]:
    relations = read_xml(archive, member).iter(f"{PACKAGE}Relationship")
    return {relation.get("Id", ""): relation.get("Target", "") for relation in relations}
