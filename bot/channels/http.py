"""One request over HTTP, with the one distinction a retry needs: did anything leave this machine?

Knows no platform. Nothing here is ever logged: addresses carry tokens, and bodies her words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

MAX_CONNECTIONS = 256


class NothingLeft(Exception):
    """No connection came about (refused, no DNS, no TLS): surely nothing arrived."""


class AnswerLost(Exception):
    """The request was on its way and no whole answer came back: it may have arrived."""


class TooLarge(Exception):
    """There is more than was wanted; the rest was not read."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a multipart request."""

    filename: str
    content: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    body: bytes
    retry_after: str | None = None
    location: str | None = None


class Http:
    """A pool of connections, opened at the first request and closed once."""

    def __init__(self, connections: int = MAX_CONNECTIONS) -> None:
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def post(
        self,
        url: str,
        fields: Mapping[str, str],
        files: Mapping[str, Upload],
        *,
        connect: float,
        read: float,
    ) -> Answer:
        """Send one form and read the whole answer; see `_ask`."""
        return await self._ask("POST", url, _form(fields, files), {}, connect, read)

    async def post_json(
        self, url: str, body: bytes, headers: Mapping[str, str], *, connect: float, read: float
    ) -> Answer:
        """Send one JSON document and read the whole answer; see `_ask`."""
        headers = {"Content-Type": "application/json", **headers}
        return await self._ask("POST", url, body, headers, connect, read)

    async def get(self, url: str, *, most: int, connect: float, read: float) -> Answer:
        """Fetch a file of at most `most` bytes; see `_ask`. Raises `TooLarge`, too."""
        return await self._ask("GET", url, None, {}, connect, read, most)

    async def _ask(
        self,
        method: str,
        url: str,
        data: aiohttp.FormData | bytes | None,
        headers: Mapping[str, str],
        connect: float,
        read: float,
        most: int | None = None,
    ) -> Answer:
        """`connect` and `read` are seconds. `read` bounds the whole exchange, so that an answer
        that drips does not hold us. Raises `NothingLeft` or `AnswerLost`, both without the
        address, the body, or a cause that holds them.
        """
        timeout = aiohttp.ClientTimeout(total=connect + read, connect=connect, sock_read=read)
        try:
            async with self._open().request(
                method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                told = response.headers
                body = await (response.read() if most is None else _within(response, most))
                return Answer(response.status, body, told.get("Retry-After"), told.get("Location"))
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            aiohttp.InvalidURL,
            NothingLeft,
        ):
            failure: Exception = NothingLeft()
        except (aiohttp.ClientError, TimeoutError, OSError):
            failure = AnswerLost()
        raise failure

    async def close(self) -> None:
        """Close the connections. Whatever is asked for later raises `NothingLeft`."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise NothingLeft
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _within(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, read no further than its limit, whatever its length is said to be."""
    if (response.content_length or 0) > most:
        raise TooLarge
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            raise TooLarge
    return bytes(body)


def _form(fields: Mapping[str, str], files: Mapping[str, Upload]) -> aiohttp.FormData | None:
    if not fields and not files:
        return None
    form = aiohttp.FormData(default_to_multipart=bool(files))
    for name, value in fields.items():
        form.add_field(name, value)
    for name, upload in files.items():
        form.add_field(name, upload.content, filename=upload.filename, content_type=upload.mime)
    return form


def read_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body, or None where there is something else."""
    try:
        told = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
