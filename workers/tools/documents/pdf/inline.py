"""Words of one or more lines to one line of Markdown: joined, dehyphenated, with styles and links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from workers.tools.documents import markdown
from workers.tools.documents.pdf.page import PLAIN, SOFT_HYPHEN, Style, Word


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    style: Style
    spaced: bool


def render(lines: Sequence[Sequence[Word]], compounds: frozenset[str], ignore: Style = PLAIN) -> str:
    """One paragraph's Markdown.

    compounds: words that the document spells with a hyphen within a line, lower case; a word that was divided
    exactly there keeps its hyphen. ignore: styles that say nothing here (bold in a heading).
    """
    pieces = _pieces(lines, compounds)
    spaced_after = [piece.spaced for piece in pieces[1:]] + [True] * bool(pieces)
    pieces = [_plainer(piece, after, ignore) for piece, after in zip(pieces, spaced_after, strict=True)]
    runs: list[_Piece] = []
    for style, group in groupby(pieces, key=lambda piece: piece.style):
        members = list(group)
        text = members[0].text + "".join(
            f" {piece.text}" if piece.spaced else piece.text for piece in members[1:]
        )
        runs.append(_Piece(text, style, members[0].spaced))
    return "".join(
        (" " if number and run.spaced else "") + _marked(run) for number, run in enumerate(runs)
    ).strip()


def _pieces(lines: Sequence[Sequence[Word]], compounds: frozenset[str]) -> list[_Piece]:
    pieces: list[_Piece] = []
    for line in lines:
        for number, word in enumerate(line):
            piece = _Piece(word.text, word.style, not word.glued)
            if number == 0 and pieces:
                piece = _join(pieces, piece, compounds)
            pieces.append(piece)
    return [replace(piece, text=piece.text.replace(SOFT_HYPHEN, "-")) for piece in pieces]


def _join(pieces: list[_Piece], piece: _Piece, compounds: frozenset[str]) -> _Piece:
    """The first piece of a line, put behind the last of the line above, whose hyphen may go."""
    last = pieces[-1]
    if last.text.endswith(SOFT_HYPHEN):
        stem = last.text.rstrip(SOFT_HYPHEN)
        whole = f"{stem}-{piece.text}".lower().strip(".,;:!?()\"'")
        keeps = whole in compounds or not _same_case(stem[-1:], piece.text[:1])
        pieces[-1] = replace(last, text=f"{stem}-" if keeps else stem)
        return replace(piece, spaced=False)
    if (
        last.text.endswith("-")
        and len(last.text) > 1
        and last.text[-2].isalpha()
        and piece.text[:1].islower()
    ):
        return replace(piece, spaced=False)
    if _is_cjk(last.text[-1:]) and _is_cjk(piece.text[:1]):
        return replace(piece, spaced=False)
    return replace(piece, spaced=True)


def _is_cjk(character: str) -> bool:
    return (
        "\u3000" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or "\uff00" <= character <= "\uffef"
    )


def _same_case(last: str, first: str) -> bool:
    """Whether a word could go on like this: "exam-ple" and "EXAM-PLE", but not "Jean-Paul"."""
    return (first.islower() and last.isalpha()) or (first.isupper() and last.isupper())


def _plainer(piece: _Piece, spaced_after: bool, ignore: Style) -> _Piece:
    """Without the styles that say nothing: signs in a fixed-pitch font that touch a word are no code."""
    style = piece.style
    is_word = any(character.isalnum() for character in piece.text)
    stands_alone = piece.spaced and spaced_after
    return replace(
        piece,
        style=replace(
            style,
            bold=style.bold and not ignore.bold,
            italic=style.italic and not ignore.italic,
            mono=style.mono and not ignore.mono and (is_word or stands_alone),
            raised=style.raised and is_word,
        ),
    )


def _marked(run: _Piece) -> str:
    style = run.style
    if style.mono and not style.link:
        return markdown.code_span(run.text)
    text = markdown.code_span(run.text) if style.mono else markdown.escape(run.text)
    if any(character.isalnum() for character in run.text):
        if style.bold and style.italic:
            text = f"***{text}***"
        elif style.bold:
            text = f"**{text}**"
        elif style.italic:
            text = f"*{text}*"
    if style.raised:
        text = f"<sup>{text}</sup>"
    return markdown.link(text, style.link) if style.link else text
