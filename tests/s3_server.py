"""A server of this machine that speaks as much of S3 over HTTP as a store needs: objects, lists, multipart, copies.

It keeps objects in memory, checks who signs, and can be told to fail: `outage` answers every call with 503.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

BUCKET, ACCESS_KEY = "media", "the-access-key"
_PAGE_KEYS = 3  # small, so that lists have pages


class S3Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}  # by upload: of multipart uploads that are not complete
        self.calls: list[str] = []
        self.outage = threading.Event()
        self.lock = threading.Lock()

    @property
    def options(self) -> dict[str, Any]:
        """For `ObjectStore("s3://media/...")`."""
        return {
            "endpoint": f"http://127.0.0.1:{self.server_address[1]}",
            "region": "us-east-1",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": "a secret",
            "allow_http": "true",
            "retry_config": {"max_retries": 0},
        }


@contextmanager
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3Server

    def log_message(self, format: str, *_: Any) -> None:
        """Nothing on the screen."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client may break off
            super().handle()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        _, bucket, *key = unquote(parts.path).split("/", 2)
        self.key = key[0] if key else ""
        self.body = self._body()
        self.server.calls.append(f"{self.command} {self.key}")
        if self.server.outage.is_set():
            return self._refuse(503, "SlowDown")
        if f"Credential={ACCESS_KEY}/" not in self.headers.get("Authorization", ""):
            return self._refuse(403, "AccessDenied")
        if bucket != BUCKET:
            return self._refuse(404, "NoSuchBucket")
        with self.server.lock:
            getattr(self, f"_{self.command.lower()}")()
        return None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - names of the standard library

    # -- verbs ----------------------------------------------------------------------------------

    def _get(self) -> None:
        if "list-type" in self.query:
            return self._list()
        found = self.server.objects.get(self.key)
        if found is None:
            return self._refuse(404, "NoSuchKey")
        return self._send(200, found, of_object=True)

    _head = _get

    def _put(self) -> None:
        source = self.headers.get("x-amz-copy-source")
        if "uploadId" in self.query:
            self.server.parts[self.query["uploadId"]][int(self.query["partNumber"])] = self.body
            return self._send(200, b"", ETag=_tag(self.body))
        if source is None:
            self.server.objects[self.key] = self.body
            return self._send(200, b"", ETag=_tag(self.body))
        copied = self.server.objects.get(unquote(source).lstrip("/").removeprefix(f"{BUCKET}/"))
        if copied is None:
            return self._refuse(404, "NoSuchKey")
        self.server.objects[self.key] = copied
        return self._xml("CopyObjectResult", f"<ETag>{_tag(copied)}</ETag>")

    def _post(self) -> None:
        if "uploads" in self.query:
            upload = f"upload-{len(self.server.calls)}"
            self.server.parts[upload] = {}
            return self._xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        if "uploadId" in self.query:
            parts = self.server.parts.pop(self.query["uploadId"])
            self.server.objects[self.key] = b"".join(parts[number] for number in sorted(parts))
            tag = _tag(self.server.objects[self.key])
            return self._xml("CompleteMultipartUploadResult", f"<ETag>{escape(tag)}</ETag>")
        asked = [element.text or "" for element in ElementTree.fromstring(self.body).iter() if _is_key(element)]
        for key in asked:
            self.server.objects.pop(key, None)
        deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in asked)
        return self._xml("DeleteResult", deleted)

    def _delete(self) -> None:
        if "uploadId" in self.query:
            self.server.parts.pop(self.query["uploadId"], None)
        else:
            self.server.objects.pop(self.key, None)
        self._send(204, b"")

    def _list(self) -> None:
        after = self.query.get("continuation-token") or self.query.get("start-after", "")
        prefix = self.query.get("prefix", "")
        keys = sorted(key for key in self.server.objects if key.startswith(prefix) and key > after)
        page, is_more = keys[:_PAGE_KEYS], len(keys) > _PAGE_KEYS
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.server.objects[key])}</Size>"
            f"<ETag>{_tag(self.server.objects[key])}</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in page
        )
        next_page = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if is_more else ""
        self._xml("ListBucketResult", f"<IsTruncated>{str(is_more).lower()}</IsTruncated>{next_page}{found}")

    # -- the wire -------------------------------------------------------------------------------

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, body: bytes, *, of_object: bool = False, **headers: str) -> None:
        self.send_response(status)
        given = {"Content-Length": str(len(body)), **headers}
        if of_object:
            given |= {"ETag": _tag(body), "Last-Modified": formatdate(0, usegmt=True)}
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _xml(self, name: str, content: str, status: int = 200) -> None:
        self._send(status, f'<?xml version="1.0"?><{name}>{content}</{name}>'.encode())

    def _refuse(self, status: int, code: str) -> None:
        self._xml("Error", f"<Code>{code}</Code><Message>{code}</Message>", status)


def _tag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def _is_key(element: ElementTree.Element) -> bool:
    return element.tag.rpartition("}")[2] == "Key"
