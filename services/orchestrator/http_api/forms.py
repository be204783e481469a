"""multipart/form-data (RFC 7578) with one file, which is passed on as it comes and never held as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.kit.errors import InvalidRequest

FILE_PART = "file"
_MAX_FIELD_BYTES = 4096


class UploadForm:
    """Fields before the file, then the file. `fields` and `filename` are known once `open` has returned."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes], known_fields: frozenset[str]) -> None:
        """Raises `InvalidRequest`."""
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise InvalidRequest("the multipart body has no boundary")
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._body = body
        self._known_fields = known_fields
        self._headers: dict[bytes, bytes] = {}
        self._header = (b"", b"")
        self._part = ""
        self._value = b""
        self._file: list[bytes] = []
        self._has_file = False
        self._is_whole = False
        with _faults():
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_part,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )

    async def open(self) -> None:
        """Up to the file's first bytes. Raises `InvalidRequest`."""
        while not self._has_file:
            await self._feed()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file. Raises `InvalidRequest` for a form that does not end after it, as it should."""
        while True:
            for chunk in self._file:
                yield chunk
            self._file.clear()
            if self._is_whole:
                break
            await self._feed()
        async for _ in self._body:  # what follows the form is no part of it, but of the body's digest
            continue

    async def _feed(self) -> None:
        chunk = await anext(self._body, None)
        if chunk is None or self._is_whole:
            raise InvalidRequest(f"the form is cut off, or has no part named {FILE_PART!r}")
        with _faults():
            self._parser.write(chunk)

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], self._header[1])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[name.lower()] = value
        self._header = (b"", b"")

    def _on_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._part = options.get(b"name", b"").decode(errors="replace")
        self._value = b""
        if self._has_file:
            raise InvalidRequest("the file is not the last part of the form", hint="put the fields before it")
        if self._part == FILE_PART:
            self._has_file = True
            self.filename = options.get(b"filename", b"").decode(errors="replace")
        elif self._part not in self._known_fields:
            known = ", ".join(sorted(self._known_fields))
            raise InvalidRequest(f"the form has a part named {self._part[:80]!r}", hint=f"known: {known}")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._has_file:
            self._file.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > _MAX_FIELD_BYTES:
            raise InvalidRequest(f"the field {self._part} is longer than {_MAX_FIELD_BYTES} bytes")

    def _on_part_end(self) -> None:
        if not self._has_file:
            self.fields[self._part] = self._value.decode(errors="replace")

    def _on_end(self) -> None:
        self._is_whole = True


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (FormParserError, ValueError) as error:
        raise InvalidRequest(f"not a multipart form: {error}") from error
