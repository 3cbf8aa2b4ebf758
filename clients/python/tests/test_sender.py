"""Batches, retries, bounds, threads, forks and the end of a program, against a server of the standard library."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from agent import free_port, until
from conftest import Server, success

from bellwether import Client

SOURCE = Path(__file__).resolve().parents[1] / "src"


def test_threads_record_without_losing_a_value(client: Client, server: Server) -> None:
    def record(number: int) -> None:
        for _ in range(1000):
            client.inc("count", thread=number)
            client.observe("size", 1)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush()
    counts = [record["inc"] for record in server.records if record["metric"] == "count"]
    assert (sum(counts), sum(record["metric"] == "size" for record in server.records)) == (10_000, 10_000)
    assert client.stats() == (20_000, 0, 0, 0, 0)


def test_values_wait_until_the_agent_is_there(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(f"http://127.0.0.1:{free_port()}", interval=0.02)
    client.inc("a")
    until("two attempts failed", lambda: client.stats().failures >= 2)
    assert client.stats()[:4] == (0, 0, 0, 1)
    assert caplog.text.count("does not answer") == 1
    assert not client.close(0)
    assert client.stats()[:4] == (0, 0, 1, 0)


def test_what_comes_back_is_sent_in_its_order(client: Client, server: Server) -> None:
    server.answer = lambda body: None
    client.set("gauge", 1, n="a")
    until("an attempt failed", lambda: client.stats().failures)
    client.set("gauge", 2, n="b")
    server.answer = server.accept
    assert client.flush()
    assert [record["set"] for record in server.records] == [1, 2]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503, 302])
def test_a_status_that_may_pass_is_retried(client: Client, server: Server, status: int) -> None:
    server.answer = lambda body: (status, {"Retry-After": "0"}, b"{}")
    client.inc("a")
    until("an attempt failed", lambda: client.stats().failures)
    server.answer = server.accept
    assert client.flush()
    assert client.stats()[:4] == (1, 0, 0, 0)


def test_retry_after_is_respected(client: Client, server: Server) -> None:
    server.answer = lambda body: (503, {"Retry-After": "3600"}, b"")
    client.inc("a")
    until("an attempt failed", lambda: client.stats().failures)
    server.answer = server.accept
    client.inc("a")
    retry_in: Any = client._sender._retry_at - time.monotonic()
    assert 20 < retry_in <= 30 and len(server.requests) == 1


def test_another_program_behind_the_url_takes_nothing(client: Client, server: Server) -> None:
    server.answer = lambda body: (200, {}, b"<html>welcome</html>")
    client.inc("a")
    until("an attempt failed", lambda: client.stats().failures)
    assert client.stats().pending == 1
    server.answer = server.accept


def test_rejected_records_are_counted_and_logged_once(client: Client, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    def reject(body: bytes) -> tuple[int, dict[str, str], bytes]:
        rejected = [
            {"index": index, "reason": "unknown_metric", "error": "no such metric"}
            for index, record in enumerate(json.loads(body))
            if record["metric"] == "typo"
        ]
        return success(0, [*rejected, {"index": 99, "reason": "", "error": ""}], 422)

    server.answer = reject
    for _ in range(2):
        client.inc("typo")
        client.inc("typo")
        client.inc("right")
        assert client.flush()
    assert client.stats() == (2, 4, 0, 0, 0)
    assert [record.message for record in caplog.records] == ["rejected: typo: no such metric"]


@pytest.mark.parametrize("status", [400, 413])
def test_a_record_that_spoils_its_batch_costs_only_itself(client: Client, server: Server, status: int) -> None:
    def spoiled(body: bytes) -> tuple[int, dict[str, str], bytes]:
        return (status, {}, b'{"error": "bad"}') if b"poison" in body else server.accept(body)

    server.answer = spoiled
    for number in range(100):
        client.inc("poison" if number == 37 else "good", number=number)
    assert client.flush()
    assert client.stats() == (99, 1, 0, 0, 0)
    assert sorted(int(record["labels"]["number"]) for record in server.records) == [n for n in range(100) if n != 37]


def test_a_large_number_of_values_is_sent_in_batches(client: Client, server: Server) -> None:
    for number in range(2500):
        client.observe("a", number)
    assert client.flush()
    assert [record["observe"] for record in server.records] == list(range(2500))
    assert len(server.requests) >= 3


def test_what_exceeds_the_bound_is_dropped_counted_and_logged_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answer = lambda body: (503, {}, b"")
    client = Client(server.url, max_pending=100, interval=0.02)
    client.inc("counter")
    until("an attempt failed", lambda: client.stats().failures)
    for number in range(250):
        client.observe("a", number)
    until("the queue is read", lambda: client.stats().dropped == 151)
    client.inc("counter")  # summed with the one that waits
    until("it is summed", lambda: client.stats().pending == 101 and client.stats().dropped == 151)
    server.answer = server.accept
    assert client.close()
    assert client.stats()[:4] == (101, 0, 151, 0)
    assert server.records[0]["inc"] == 2 and server.records[1]["observe"] == 0
    assert caplog.text.count("values are dropped") == 1
    assert "151 values were dropped" in caplog.text


def test_a_server_that_hangs_holds_up_nobody(server: Server) -> None:
    free = threading.Event()

    def hang(body: bytes) -> None:
        free.wait()

    server.answer = hang
    client = Client(server.url, interval=0.02, max_pending=10)
    client.inc("a")
    until("the request is there", lambda: server.requests)
    for number in range(1000):  # would not end if one call waited for the answer
        client.observe("a", number)
    assert not client.close(0.05)
    assert client.stats().sent == 0 and client.stats().dropped == 1001
    free.set()


def test_a_closed_client_drops_and_is_closed_again(client: Client, server: Server) -> None:
    client.inc("a")
    assert client.close()
    client.inc("a")
    assert client.close()
    assert client.stats() == (1, 0, 1, 0, 0)


def test_flush_without_values_is_done_at_once(client: Client) -> None:
    assert client.flush()


def test_a_signal_handler_may_record(client: Client, server: Server) -> None:
    handled = []

    def handle(number: int, frame: object) -> None:
        client.inc("signals")
        handled.append(number)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while len(handled) < 50:
            client.inc("loop")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert client.flush()
    assert sum(record["inc"] for record in server.records if record["metric"] == "signals") == len(handled)


def run(code: str, server: Server) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "BELLWETHER_URL": server.url}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )


def test_the_end_of_a_program_sends_the_rest(server: Server) -> None:
    result = run("import bellwether; c = bellwether.Client(interval=3600); c.inc('a'); c.inc('a'); raise SystemExit(3)", server)
    assert (result.returncode, result.stderr) == (3, "")
    assert server.records == [{"metric": "a", "labels": {}, "inc": 2}]


def test_a_value_that_is_recorded_while_the_interpreter_ends_is_sent(server: Server) -> None:
    code = "import atexit, bellwether; c = bellwether.Client(); atexit.register(c.close); atexit.register(c.inc, 'late')"
    result = run(code, server)
    assert (result.returncode, result.stderr) == (0, "")
    assert [record["metric"] for record in server.records] == ["late"]


def test_a_program_ends_although_the_agent_is_away(server: Server) -> None:
    server.close()
    result = run("import bellwether; bellwether.Client().inc('a')", server)
    assert result.returncode == 0
    assert "does not answer" in result.stderr and "Traceback" not in result.stderr


FORK = """
import os, sys, threading
from bellwether import Client
client = Client(interval=3600)
client.inc("first")
client.flush()
client.inc("parent")
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        client.inc("child", number=number)
        sys.exit()
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_fork_sends_its_own_values_and_none_of_its_parent(server: Server) -> None:
    result = run(FORK, server)
    assert (result.returncode, result.stderr) == (0, "")
    sent = [(record["metric"], record["labels"].get("number"), record["inc"]) for record in server.records]
    assert sorted(sent, key=str) == [
        ("child", "0", 1),
        ("child", "1", 1),
        ("child", "2", 1),
        ("first", None, 1),
        ("parent", None, 1),
    ]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_send_before_they_end(server: Server, tmp_path: Path, method: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import multiprocessing
from bellwether import Client
client = Client(interval=3600)

def work(number):
    client.inc("child", number=number)

if __name__ == "__main__":
    client.inc("parent")
    client.flush()
    context = multiprocessing.get_context({method!r})
    children = [context.Process(target=work, args=(number,)) for number in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "BELLWETHER_URL": server.url}
    subprocess.run([sys.executable, "-W", "ignore", program], env=environment, check=True, timeout=60)
    sent = sorted(record["metric"] + record["labels"].get("number", "") for record in server.records)
    assert sent == ["child0", "child1", "parent"]
