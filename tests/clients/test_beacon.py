"""The script of docs/collecting.md in Debian's Chromium: a page sends to its own server, which passes it on as a proxy does."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from agent import ROOT, Agent, until

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
TOKEN = "0123456789abcdef0123456789abcdef"
PAGE = (ROOT / "docs/collecting.md").read_text()


def block(language: str, what: str) -> str:
    """Returns the block of the page that has a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return next(found for found in blocks if what in found)


class Site:
    """A web site whose path ``/record`` is passed on to the agent, with the headers of the example for nginx."""

    def __init__(self, agent: Agent):
        site = self
        self.answers: list[int] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer(200, b"<!doctype html><title>site</title>" + block("html", "sendBeacon").encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name: value for name, value in self.headers.items() if name.lower() != "cookie"}
                headers |= {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.9"}
                connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=10)
                connection.request("POST", "/api/v1/record", body, headers)
                response = connection.getresponse()
                site.answers.append(response.status)
                self.answer(response.status, response.read())
                connection.close()

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=lambda: self.server.serve_forever(0.01), daemon=True).start()

    def post(self, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/record", b"[]", {"Content-Type": "application/json", **headers})
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture
def agent(start_agent: Callable[[str], Agent], tmp_path: Path) -> Agent:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    head, metrics = block("yaml", "page_load_time").split("\n", 1)
    settings = f"metric_prefix: '', control: {{tokens: [{{name: web, file: {token}, role: operator}}]}}"
    return start_agent(
        f"{head}\n  collection_interval: 1s\n  enabled_collectors: [application]\n  prometheus: {{{settings}}}\n{metrics}"
    )


@pytest.fixture
def site(agent: Agent) -> Iterator[Site]:
    site = Site(agent)
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_a_page_records_through_its_own_server(agent: Agent, site: Site, tmp_path: Path) -> None:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={tmp_path / 'chromium'}"]
    options += ["--host-resolver-rules=MAP shop.example 127.0.0.1", f"http://shop.example:{site.port}/"]
    with subprocess.Popen([CHROMIUM, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            until("the page sent its time", lambda: site.answers)
        finally:
            browser.kill()
    assert site.answers == [200]
    until("it is recorded", agent.has('page_load_time_count{page="home"} 1'))


def test_a_page_of_another_site_records_nothing_through_it(site: Site) -> None:
    assert site.post({}) == 200
    assert site.post({"Origin": "http://other.example"}) == 403
    assert site.post({"Sec-Fetch-Site": "cross-site"}) == 403
