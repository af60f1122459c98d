from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.unit.tools.documents import samples
from tests.unit.tools.documents.conftest import Convert
from workers.tools.documents.html import parse, to_markdown


def html(body: str, base_url: str | None = None) -> str:
    soup = parse(f"<!doctype html><html><body>{body}</body></html>")
    assert soup.body is not None
    return to_markdown(soup.body, "page.html", base_url)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<h2>A <b>b</b></h2><p>one\ntwo<br>three</p>", "## A **b**\n\none two\\\nthree"),
        ("<ul><li>a<ol><li>b</li><li>c</li></ol></li><li>d</li></ul>", "- a\n  1. b\n  2. c\n- d"),
        ("<ol start=3><li>x<li><p>y</p><p>z</p></ol>", "3. x\n4. y\n\n   z"),
        ("<pre><code class='language-python'>a\n  ``` b\n</code></pre>", "````python\na\n  ``` b\n````"),
        ("<p><code>a`b</code> H<sub>2</sub>O</p>", "`` a`b `` H<sub>2</sub>O"),
        ("<blockquote><p>q</p><p>r</p></blockquote>", "> q\n>\n> r"),
        (
            "<table><tr><th>A<th>B</tr><tr><td colspan=2>w|x</td></tr>"
            "<tr><td>l<br>m</td><td><p>n</p></td></tr></table>",
            "| A | B |\n| --- | --- |\n| w\\|x |  |\n| l<br>m | n |",
        ),
        ("<p>1. one</p><p># two</p><p>5 * 3 &lt;b&gt; &amp;amp;</p>", "1\\. one\n\n\\# two\n\n5 \\* 3 \\<b> \\&amp;"),
        ("<p>a</p><script>b</script><p hidden>c</p><p style='display: none'>d</p>", "a"),
        ("<p><a href='#x'>in</a> <a href='javascript:x()'>js</a> <a href='https://e.org/a b'>out</a></p>",
         "in js [out](<https://e.org/a b>)"),
        ("<img alt='A lamp' src='data:image/png;base64,x'><img src='x.png'>", "[Image: A lamp]"),
    ],
)  # fmt: skip
def test_html_becomes_markdown(body: str, expected: str) -> None:
    assert html(body) == expected


def test_links_and_pictures_of_a_fetched_page_are_complete() -> None:
    body = "<p><a href='../b'>b</a> <img src='c.png' alt='c'></p>"
    assert html(body, "https://e.org/x/a") == "[b](https://e.org/b) ![c](https://e.org/x/c.png)"


def test_a_list_of_thousands_of_items_takes_no_longer_per_item() -> None:
    assert html(f"<ol>{'<li>x' * 5000}</ol>").endswith("\n5000. x")


async def test_the_main_part_of_a_page_is_converted_and_said_so(room: Path, convert: Convert) -> None:
    page = "<html><head><title>My  page</title></head><body><nav>Menu</nav><main><h1>Hello</h1></main></body></html>"
    (room / "page.html").write_text(page)
    done = await convert("page.html")
    assert done.markdown == "# Hello\n"
    assert "menus and the like" in done.warnings
    assert done.converted["title"] == "My page"


async def test_a_page_is_read_in_the_encoding_it_declares(room: Path, convert: Convert) -> None:
    (room / "page.html").write_bytes(
        "<html><meta charset='shift_jis'><body><p>灯台</p></body></html>".encode("shift_jis")
    )
    assert (await convert("page.html")).markdown == "灯台\n"


async def test_html_nested_beyond_reason_is_refused_or_converted_but_never_crashes(
    room: Path, convert: Convert
) -> None:
    (room / "deep.html").write_text("<html><body>" + "<div>" * 50_000 + "x")
    done = await convert("deep.html")
    assert done.result["isError"] is False or "nested too deeply" in done.error


async def test_a_book_is_read_chapter_by_chapter_without_its_contents_page(
    room: Path, convert: Convert
) -> None:
    samples.book(
        room / "book.epub", "<h1>One</h1><p>é <a href='b.xhtml#x'>inner</a></p>", "<h1>Two</h1><p>x</p>"
    )
    done = await convert("book.epub")
    assert done.markdown == "# One\n\né inner\n\n# Two\n\nx\n"
    assert (done.converted["title"], done.converted["unit"], done.converted["pages"]) == (
        "My Book",
        "chapter",
        2,
    )
    assert list(done.port.steps) == [step for step in done.port.steps if "chapter" in step]


async def test_a_book_with_drm_is_refused(room: Path, convert: Convert) -> None:
    locked = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:e="http://www.w3.org/2001/04/xmlenc#">'
        '<e:EncryptedData><e:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'
        "</e:EncryptedData></encryption>"
    )
    samples.book(room / "locked.epub", "<p>x</p>", extra={"META-INF/encryption.xml": locked})
    assert "DRM" in (await convert("locked.epub")).error


async def test_markdown_goes_through_and_gives_its_outline(room: Path, convert: Convert) -> None:
    text = "# Title\n\n```\n# no heading\n```\n\n## Sub *part*\n\n* item\n"
    (room / "a.md").write_text(text)
    done = await convert("a.md")
    assert done.markdown == text
    assert done.converted["headings"] == [{"level": 1, "text": "Title"}, {"level": 2, "text": "Sub part"}]


async def test_separated_values_become_a_table(room: Path, convert: Convert) -> None:
    (room / "a.csv").write_bytes('Name;Größe\nä;"x; y"\nb;1|2\n'.encode("cp1252"))
    done = await convert("a.csv")
    assert done.markdown == "| Name | Größe |\n| --- | --- |\n| ä | x; y |\n| b | 1\\|2 |\n"
    assert "read as cp1252" in done.warnings


async def test_data_in_a_text_format_goes_into_a_code_block(room: Path, convert: Convert) -> None:
    (room / "a.json").write_text('{"a": 1}\n')
    assert (await convert("a.json")).markdown == '```json\n{"a": 1}\n```\n'


async def test_a_data_uri_is_converted_by_its_content(convert: Convert) -> None:
    content = base64.b64encode(b"<html><body><h1>Hi</h1></body></html>").decode()
    done = await convert(f"data:text/html;base64,{content}")
    assert (done.markdown, done.converted["format"]) == ("# Hi\n", "html")
