"""The client against the real agent."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from agent import Agent, free_port, until

from bellwether import Client

CONFIG = """
performance_monitor:
  collection_interval: 1s
  enabled_collectors: [application]
  prometheus: {{metric_prefix: '', limits: {{max_body_bytes: 20000}}, control: {control}}}
  application: {application}
  application_metrics:
    - {{name: done, type: counter}}
    - {{name: visits, type: counter, labels: [page]}}
    - {{name: temperature, type: gauge, labels: [room]}}
    - {{name: took, type: histogram, labels: [page], buckets: [1, 10]}}
"""


def config(control: str = "{}", application: str = "{}") -> str:
    return CONFIG.format(control=control, application=application)


def test_the_agent_takes_every_method_of_the_shipped_metrics(shipped_metrics: str, start_agent: Callable[..., Agent]) -> None:
    head = CONFIG[: CONFIG.index("  application_metrics")].format(control="{}", application="{}")
    agent = start_agent(f"{head}{shipped_metrics}\n")
    with Client(agent.url) as client:
        client.record_agent_execution("cv", 1.5)
        client.record_agent_execution("cv", 0.5, "error")
        client.record_agent_error("cv", "ValueError")
        client.record_api_request("/entities", "GET", 0.123, 200)
        client.record_api_error("/entities", "GET", "Timeout")
        client.set_queue_length("tasks", 42)
        client.record_queue_processing("tasks", 2.5)
        client.record_entity_processing("Camera", "create", 0.05)
        client.record_cache_hit("entities")
        client.record_cache_miss("entities")
        client.set_cache_size("entities", 150)
        with pytest.raises(KeyError), client.agent_execution("nlp"):
            raise KeyError
        with client.api_request("/orders", "POST") as request:
            request.status = 201
        with client.queue_processing("mail"), client.entity_processing("Mail", "send"):
            pass
        assert client.flush()
        assert client.stats() == (25, 0, 0, 0, 0)
    until(
        "the values are there",
        agent.has(
            'agent_execution_time_sum{agent_name="cv",status="success"} 1.5',
            'agent_execution_count{agent_name="cv",status="success"} 1',
            'agent_execution_count{agent_name="cv",status="error"} 1',
            'agent_error_count{agent_name="cv",error_type="ValueError"} 1',
            'api_request_duration_count{endpoint="/entities",method="GET",status="200"} 1',
            'api_request_count{endpoint="/entities",method="GET",status="200"} 1',
            'api_error_count{endpoint="/entities",method="GET",error_type="Timeout"} 1',
            'queue_length{queue_name="tasks"} 42',
            'queue_processing_time_sum{queue_name="tasks"} 2.5',
            'queue_items_processed{queue_name="tasks"} 1',
            'entities_processing_time_sum{entity_type="Camera",operation="create"} 0.05',
            'entities_processed_total{entity_type="Camera",operation="create"} 1',
            'cache_hits{cache_name="entities"} 1',
            'cache_misses{cache_name="entities"} 1',
            'cache_size{cache_name="entities"} 150',
            'agent_execution_count{agent_name="nlp",status="error"} 1',
            'agent_error_count{agent_name="nlp",error_type="KeyError"} 1',
            'api_request_count{endpoint="/orders",method="POST",status="201"} 1',
            'queue_items_processed{queue_name="mail"} 1',
            'entities_processed_total{entity_type="Mail",operation="send"} 1',
        ),
    )


def test_nothing_that_waits_is_lost_when_the_agent_is_killed(start_agent: Callable[..., Agent]) -> None:
    agent = start_agent(config())
    client = Client(agent.url, interval=0.02)
    calls = [0] * 4
    ends = threading.Event()

    def record(number: int) -> None:
        while not ends.is_set() and calls[number] < 1_000_000:
            client.inc("done")
            calls[number] += 1
            if calls[number] % 100 == 0:
                ends.wait(0.001)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        until("values are sent", lambda: client.stats().sent > 1000)
        agent.kill()
        until("an attempt failed", lambda: client.stats().failures > 0)
        before = client.stats().sent  # all that the killed agent confirmed
        agent.start()
        until("values are sent again", lambda: client.stats().sent > before)
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert client.close(20)
    assert client.stats()[:4] == (sum(calls), 0, 0, 0)
    # One batch may have been recorded without an answer, before the kill; the new agent has all that came after.
    until("the new agent has the rest", agent.has(f"done {sum(calls) - before}"))


def test_what_the_agent_rejects_costs_nothing_else(start_agent: Callable[..., Agent], caplog: pytest.LogCaptureFixture) -> None:
    agent = start_agent(config())
    with Client(agent.url) as client:
        client.inc("done")
        client.inc("unknown")
        client.inc("visits")
        client.set("temperature", 20, room="a\ud800\n\"'")
        client.inc("visits", page="x" * 20_000)  # larger than a body may be
        assert client.flush()
        assert client.stats()[:4] == (2, 3, 0, 0)
    until("the others are there", agent.has("done 1", 'temperature{room="a?\\n\\"\'"} 20'))
    assert "unknown: " in caplog.text and "413" in caplog.text


def test_bodies_larger_than_the_agent_takes_are_sent_in_parts(start_agent: Callable[..., Agent]) -> None:
    agent = start_agent(config())
    with Client(agent.url) as client:
        for _ in range(3000):
            client.observe("took", 2, page="home")
        assert client.flush()
        assert client.stats()[:4] == (3000, 0, 0, 0)
    until("all are there", agent.has('took_bucket{page="home",le="1"} 0', 'took_count{page="home"} 3000'))


def test_a_token_that_comes_later_lets_the_values_in(start_agent: Callable[..., Agent], tmp_path: Path) -> None:
    token = tmp_path / "agent-token"
    token.write_text("0123456789abcdef0123456789abcdef")
    token.chmod(0o600)
    agent = start_agent(config(control=f"{{token_file: {token}}}"))
    later = tmp_path / "client-token"
    client = Client(agent.url, token_file=later, interval=0.02)
    client.inc("done")
    until("an attempt failed", lambda: client.stats().failures > 0)
    later.write_text("wrong")
    until("more attempts failed", lambda: client.stats().failures > 1)
    later.write_text(token.read_text())
    assert client.close(20)
    assert client.stats()[:4] == (1, 0, 0, 0)


def test_tls_is_verified(start_agent: Callable[..., Agent], tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2"
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    web = tmp_path / "web.yaml"
    web.write_text(f"tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\n")
    agent = start_agent(config(), "--web.config.file", str(web))
    url = f"https://127.0.0.1:{agent.port}"
    with Client(url, ca_file=certificate) as client:
        client.inc("done")
        assert client.flush()
        assert client.stats()[:4] == (1, 0, 0, 0)
    with Client(url, ssl_context=ssl.create_default_context(cafile=certificate)) as client:
        client.inc("done")
        assert client.flush()
    unverified = Client(url, interval=0.02)
    unverified.inc("done")
    until("an attempt failed", lambda: unverified.stats().failures > 0)
    unverified.close(0)
    assert unverified.stats()[:4] == (0, 0, 1, 0)


def test_values_arrive_over_statsd(start_agent: Callable[..., Agent]) -> None:
    port = free_port()
    agent = start_agent(config(application=f'{{statsd: {{listen: "127.0.0.1:{port}"}}}}'))
    with Client(f"statsd://127.0.0.1:{port}") as client:
        client.inc("done", 2)
        client.inc("visits", page="a")
        client.set("temperature", -3.5, room="attic")
        client.observe("took", 5, page="a")
    until(
        "the values are there",
        agent.has("done 2", 'visits{page="a"} 1', 'temperature{room="attic"} -3.5', 'took_bucket{page="a",le="10"} 1'),
    )
