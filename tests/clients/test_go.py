"""The Go SDK of OpenTelemetry exports to a collector of type otlp, over HTTP and gRPC."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest
from agent import Agent, free_port, until

SERIES = 'instance="a:1",job="web/shop"'


class Sdk:
    """The program in `go`, which exports when it is told to."""

    def __init__(self, address: str, *arguments: str):
        self.process = subprocess.Popen(
            ["opentelemetry-sdk", address, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def export(self, number: float) -> str:
        self.process.stdin.write(f"{number}\n")
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)


@pytest.fixture
def grpc_port() -> int:
    return free_port()


@pytest.fixture
def agent(start_agent: Callable[[str], Agent], grpc_port: int) -> Agent:
    return start_agent(
        f"""
performance_monitor:
  collection_interval: 1s
  enabled_collectors: []
  collectors:
    - name: apps
      type: otlp
      interval: 1s
      accept: ["requests_total", "latency_seconds", "fine_seconds", target_info]
      grpc_listen: 127.0.0.1:{grpc_port}
"""
    )


@pytest.fixture
def sdk(agent: Agent, grpc_port: int) -> Iterator[Callable[..., Sdk]]:
    started = []

    def start(transport: str, *arguments: str) -> Sdk:
        if transport.startswith("grpc"):
            # The address is bound at a collection.
            until("it listens", agent.has('bellwether_collector_success{collector="apps"} 1'))
        port = grpc_port if transport.startswith("grpc") else agent.port
        started.append(Sdk(f"127.0.0.1:{port}", transport, *arguments))
        return started[-1]

    yield start
    for program in started:
        program.end()


@pytest.mark.parametrize("transport", ["http", "http+gzip", "grpc", "grpc+gzip"])
def test_instruments_of_go_arrive_over(agent: Agent, sdk: Callable[..., Sdk], transport: str) -> None:
    program = sdk(transport)
    for number in (1, 0.2, 3):
        # The answer of the agent, as the SDK understands it: the gauge is not accepted.
        assert "partial success: rejected 1 sample, such as temperature_celsius" in program.export(number)
    until(
        "all series",
        agent.has(
            f'requests_total{{http_route="/",{SERIES}}} 4',
            f'latency_seconds_bucket{{{SERIES},le="0.5"}} 1',
            f'latency_seconds_bucket{{{SERIES},le="1"}} 2',
            f"latency_seconds_count{{{SERIES}}} 3",
            f"fine_seconds_count{{{SERIES}}} 3",
            f'target_info{{{SERIES},zones="[\\"eu\\",\\"us\\"]"}} 1',
            'bellwether_collector_samples_rejected_total{collector="apps",reason="not_accepted"} 3',
        ),
    )


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_deltas_of_go_add_up_over(agent: Agent, sdk: Callable[..., Sdk], transport: str) -> None:
    program = sdk(transport, "deltas")
    for _ in range(3):
        assert "temperature_celsius" in program.export(2)
    until(
        "the sums",
        agent.has(f'requests_total{{http_route="/",{SERIES}}} 6', f'latency_seconds_bucket{{{SERIES},le="+Inf"}} 3',
                  f"latency_seconds_sum{{{SERIES}}} 6", f"fine_seconds_count{{{SERIES}}} 3"),
    )


def test_the_sdk_goes_on_when_the_agent_was_killed(agent: Agent, sdk: Callable[..., Sdk]) -> None:
    program = sdk("grpc")
    program.export(1)
    until("the first value", agent.has(f'requests_total{{http_route="/",{SERIES}}} 1'))
    agent.kill()
    agent.start()
    program.export(1)
    until("the next value", agent.has(f'requests_total{{http_route="/",{SERIES}}} 2'))
