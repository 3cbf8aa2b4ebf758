"""Ways to the agent: HTTP, and StatsD over UDP."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from bellwether.record import ADD, INC, OBSERVE, SET, Record

DEFAULT_URL = "http://127.0.0.1:9091"
STATSD_PORT = 8125

# The agent closes an idle connection after minutes at the earliest; one of its restarts in between is more likely.
REUSE_SECONDS = 5.0


class Unavailable(Exception):
    """The agent does not take values now; the same values can be sent again."""

    def __init__(self, reason: str, retry_after: float | None = None):
        super().__init__(reason)
        self.retry_after = retry_after


class BatchRejected(Exception):
    """The agent recorded nothing of the batch, and would record nothing of the same batch again."""


class Rejection:
    """A record that the agent rejected, by its index in the batch."""

    __slots__ = ("index", "message")

    def __init__(self, index: int, message: str):
        self.index = index
        self.message = message


class Transport(Protocol):
    """Sends batches. Used by one thread at a time."""

    operations: frozenset[str]

    def send(self, batch: Sequence[Record]) -> list[Rejection]:
        """Returns the rejected records; raises ``Unavailable`` or ``BatchRejected`` if nothing was recorded."""

    def forget(self) -> None:
        """Drops the connection without using it, after a fork."""

    def close(self) -> None:
        """Closes the connection."""


def connect(
    url: str,
    *,
    token: str | None,
    token_file: str | os.PathLike[str] | None,
    ca_file: str | os.PathLike[str] | None,
    ssl_context: ssl.SSLContext | None,
    timeout: float,
) -> Transport:
    """Returns the transport of a URL.

    Raises ``ValueError`` if the URL or what is beside it cannot work.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(f"invalid URL: {url!r}: {error}") from None
    if parts.scheme not in ("http", "https", "statsd") or not parts.hostname:
        raise ValueError(f"invalid URL: {url!r}; hint: use {DEFAULT_URL}, or statsd://127.0.0.1:{STATSD_PORT}")
    if parts.username or parts.password:
        raise ValueError("the URL has a user; hint: use token or token_file")
    if parts.scheme == "statsd":
        return Statsd(parts.hostname, port or STATSD_PORT)
    return Http(parts, token, token_file, ca_file, ssl_context, timeout)


class Http:
    """``POST /api/v1/record``."""

    operations = frozenset((INC, SET, ADD, OBSERVE))

    def __init__(
        self,
        url: SplitResult,
        token: str | None,
        token_file: str | os.PathLike[str] | None,
        ca_file: str | os.PathLike[str] | None,
        ssl_context: ssl.SSLContext | None,
        timeout: float,
    ):
        self._host = url.hostname or ""
        self._port = url.port
        self._path = url.path.rstrip("/") + "/api/v1/record"
        self._token = token
        self._token_file = token_file
        self._timeout = timeout
        self._context = None
        if url.scheme == "https":
            self._context = ssl_context or ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def send(self, batch: Sequence[Record]) -> list[Rejection]:
        body = json.dumps([_as_json(record) for record in batch], separators=(",", ":")).encode()
        status, retry_after, answer = self._post(body)
        if status in (200, 422):
            return _rejections(answer, len(batch))
        error = f"status {status}: {_error(answer)}"
        if status in (400, 413):
            raise BatchRejected(error)
        # All others may pass: a token that is not there yet, a proxy without the agent behind it, an agent that is busy.
        raise Unavailable(error, retry_after)

    def _post(self, body: bytes) -> tuple[int, float | None, bytes]:
        headers = {"Content-Type": "application/json", "User-Agent": "bellwether-python"}
        try:
            token = self._read_token()
            if token:
                headers["Authorization"] = f"Bearer {token}"
            connection = self._connect()
            connection.request("POST", self._path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        self._used_at = time.monotonic()
        if response.will_close:
            self.close()
        return response.status, _seconds(response.headers.get("Retry-After")), answer

    def _read_token(self) -> str | None:
        """Reads the file anew each time, so that a new token is used at once."""
        token = self._token
        if self._token_file is not None:
            with open(self._token_file, encoding="utf-8") as file:
                token = file.read().strip()
        # Checked here, since the error of http.client shows it.
        if token and not all("!" <= character <= "~" for character in token):
            raise ValueError("the token has blanks, line breaks or other characters that no token has")
        return token

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            if time.monotonic() - self._used_at < REUSE_SECONDS:
                return self._connection
            self.close()
        if self._context is not None:
            self._connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)
        else:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        return self._connection

    def forget(self) -> None:
        self._connection = None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _as_json(record: Record) -> dict[str, Any]:
    return {
        "metric": record.metric,
        "labels": dict(record.labels),
        record.operation: record.value,
    }


def _rejections(answer: bytes, size: int) -> list[Rejection]:
    try:
        listed = json.loads(answer)["data"]["rejected"]
        rejections = [Rejection(int(one["index"]), str(one["error"])) for one in listed]
    except (ValueError, KeyError, TypeError):
        raise Unavailable("the answer is not from Bellwether") from None
    return [rejection for rejection in rejections if 0 <= rejection.index < size]


def _error(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode("utf-8", "replace").strip()


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:  # a date
        return None


class Statsd:
    """DogStatsD lines in UDP packets, which nobody confirms."""

    # A step of a gauge has the form of a negative value there, and only the agent's settings say which it is.
    operations = frozenset((INC, SET, OBSERVE))

    # Fits into one Ethernet frame, over IPv6 too.
    PACKET_BYTES = 1432

    def __init__(self, host: str, port: int):
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, batch: Sequence[Record]) -> list[Rejection]:
        try:
            if self._socket is None:
                family, kind, protocol, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
                self._socket = socket.socket(family, kind, protocol)
                self._socket.settimeout(1)
                self._address = address
            for packet in packets(batch, self.PACKET_BYTES):
                self._socket.sendto(packet, self._address)
        except OSError as error:
            self.close()
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        return []

    def forget(self) -> None:
        self._socket = None

    def close(self) -> None:
        open_socket, self._socket = self._socket, None
        if open_socket is not None:
            open_socket.close()


def packets(batch: Sequence[Record], limit: int) -> Iterator[bytes]:
    """Yields the lines of records, as many in a packet as ``limit`` bytes hold."""
    packet = b""
    for record in batch:
        lines = _lines(record).encode()
        if packet and len(packet) + 1 + len(lines) > limit:
            yield packet
            packet = b""
        packet = packet + b"\n" + lines if packet else lines
    if packet:
        yield packet


_TYPES = {INC: "c", SET: "g", OBSERVE: "h"}

# What separates the parts of a line cannot be in a tag.
_IN_TAG = str.maketrans(dict.fromkeys(",|\n\r", "_"))
_IN_NAME = str.maketrans(dict.fromkeys(",|\n\r:", "_"))


def _lines(record: Record) -> str:
    tags = ",".join(f"{name.translate(_IN_NAME)}:{value.translate(_IN_TAG)}" for name, value in record.labels)
    end = f"|{_TYPES[record.operation]}" + (f"|#{tags}" if tags else "")
    metric = record.metric.translate(_IN_NAME)
    line = f"{metric}:{record.value!r}{end}"
    # A negative gauge is a step down in the original dialect, and a value in DogStatsD's: from 0 both lead to it.
    if record.operation == SET and record.value < 0:
        return f"{metric}:0{end}\n{line}"
    return line
