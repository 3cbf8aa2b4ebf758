"""A keep-alive HTTP client that costs little beside what it measures."""

import json
import re
import socket
import time


class Client:
    """One connection. Times are from the first byte sent to the last one received."""

    def __init__(self, port):
        self.port = port
        self.buffer = bytearray(1 << 16)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.socket.close()

    def get(self, path="/metrics"):
        """Seconds and body of a GET."""
        return self._exchange(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())

    def post(self, path, document):
        """The answer to a JSON document."""
        body = json.dumps(document).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return json.loads(self._exchange(head.encode() + body)[1])

    def put(self, path, text):
        """The answer to a PUT of a text."""
        body = text.encode()
        head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Length: {len(body)}\r\n\r\n"
        return self._exchange(head.encode() + body)[1]

    def send(self, method, path, body, content_type):
        """The answer to bytes, which may be empty."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return self._exchange(head.encode() + body)[1]

    def _exchange(self, request):
        start = time.perf_counter()
        self.socket.sendall(request)
        filled, head, end = 0, -1, None
        while True:
            if filled == len(self.buffer):
                self.buffer += bytes(len(self.buffer))
            with memoryview(self.buffer) as view:
                count = self.socket.recv_into(view[filled:])
            if count == 0:
                raise ConnectionError("closed by the server")
            filled += count
            if head < 0:
                head = self.buffer.find(b"\r\n\r\n", 0, filled)
                if head >= 0:
                    head += 4
                    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", self.buffer[:head])
                    end = head + int(length[1]) if length else None
                    if self.buffer[9:12] == b"204":
                        end = head
            if head >= 0 and (filled == end or (end is None and self._chunks_ended(filled))):
                break
        seconds = time.perf_counter() - start
        status = bytes(self.buffer[9:12])
        if status not in (b"200", b"204"):
            raise ConnectionError(f"answered {status.decode()}")
        body = bytes(self.buffer[head:filled])
        return seconds, body if end else dechunked(body)

    def _chunks_ended(self, filled):
        # No line of a metrics page ends in CR LF, so only the last chunk can look like this.
        return self.buffer[filled - 7 : filled] == b"\r\n0\r\n\r\n"


def dechunked(body):
    """What a chunked body holds."""
    parts, at = [], 0
    while True:
        line = body.index(b"\r\n", at)
        size = int(body[at:line], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
