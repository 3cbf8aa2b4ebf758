from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from agent import ROOT, start_agent

from bellwether import Client

__all__ = ["start_agent"]


@pytest.fixture
def shipped_metrics() -> str:
    """The application metrics of the shipped configuration, below ``performance_monitor``."""
    lines = (ROOT / "config/bellwether.yaml").read_text().splitlines()
    start = lines.index("  application_metrics:")
    end = next(number for number, line in enumerate(lines[start + 1 :], start + 1) if not line.startswith("    "))
    return "\n".join(lines[start:end])


class Server:
    """An HTTP server that answers as a test wants, and keeps what it got."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        # Status, headers and body of an answer, by the body of the request; None ends the connection without one.
        self.answer: Callable[[bytes], tuple[int, dict[str, str], bytes] | None] = self.accept
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers)))
                answer = outer.answer(body)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, text = answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.socket = self._server
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True)
        self._thread.start()

    def accept(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        records = json.loads(body)
        self.records += records
        return success(len(records), [])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def success(accepted: int, rejected: list[dict[str, Any]], status: int = 200) -> tuple[int, dict[str, str], bytes]:
    data = {"accepted": accepted, "rejectedTotal": len(rejected), "rejected": rejected}
    return status, {"Content-Type": "application/json"}, json.dumps({"status": "success", "data": data}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, interval=0.05) as client:
        yield client
