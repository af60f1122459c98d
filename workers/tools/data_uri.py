"""`data:` URIs (RFC 2397), with the `name=` parameter that file pickers add."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes

from workers.tools.refusal import SourceRefused


@dataclass(frozen=True, slots=True)
class DataUri:
    """name: as given by its sender, or empty. payload: still encoded."""

    media_type: str
    name: str
    is_base64: bool
    payload: str

    @property
    def least_size(self) -> int:
        """The content has at least this many bytes, if it can be decoded at all."""
        escapes = 2 * self.payload.count("%")
        characters = len(self.payload) - escapes
        return (
            (characters - sum(map(self.payload.count, " \t\r\n="))) * 3 // 4 if self.is_base64 else characters
        )

    def decode(self) -> bytes:
        """Raises SourceRefused for what is no base64."""
        content = unquote_to_bytes(self.payload)
        if not self.is_base64:
            return content
        compact = b"".join(content.split())
        try:
            return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
        except binascii.Error as error:
            raise SourceRefused(
                f"The data: URI is not valid base64: {error}. Encode the content again."
            ) from error


def parse_data_uri(uri: str) -> DataUri:
    """Raises SourceRefused when it has no content."""
    header, comma, payload = uri.partition(",")
    if not comma:
        raise SourceRefused("The data: URI has no comma. Write data:<media type>;base64,<content>.")
    media_type, *parameters = (part.strip() for part in header[len("data:") :].split(";"))
    names = [
        unquote(parameter.partition("=")[2])
        for parameter in parameters
        if parameter.lower().startswith(("name=", "filename="))
    ]
    return DataUri(
        media_type=media_type.lower() or "text/plain",
        name=names[0] if names else "",
        is_base64=any(parameter.lower() == "base64" for parameter in parameters),
        payload=payload,
    )
