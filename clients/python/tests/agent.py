"""A real agent on a free port, with a configuration and a state directory of its own."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("BELLWETHER") or Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target", "debug/bellwether"))
DEADLINE = 20.0

Answer = TypeVar("Answer")


def until(what: str, check: Callable[[], Answer], deadline: float = DEADLINE) -> Answer:
    """Waits until ``check`` returns something true, and returns it."""
    end = time.monotonic() + deadline
    last: object = None
    while time.monotonic() < end:
        try:
            last = answer = check()
            if answer:
                return answer
        except (OSError, AssertionError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"not within {deadline:g} s: {what}; last: {last!r}")


# Below the ports that the system gives to connections: one of these would take it before the agent listens.
PORTS = range(16_000, 32_000)
_next_ports = itertools.cycle((*PORTS[os.getpid() * 61 % len(PORTS) :], *PORTS))


def free_port() -> int:
    """Returns a port that was free for TCP and UDP a moment ago, never the same twice."""
    for port in itertools.islice(_next_ports, len(PORTS)):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port of 127.0.0.1 in {PORTS} is free")


class Agent:
    """Runs the binary; ``kill`` and ``start`` run it again with the same configuration."""

    def __init__(self, directory: Path, config: str, *arguments: str):
        assert BINARY.is_file(), f"nothing to test: {BINARY} is missing; hint: cargo build, or set BELLWETHER"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._directory = directory
        self._arguments = arguments
        self._config = directory / "bellwether.yaml"
        self._config.write_text(config)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        state = self._directory / "state"
        state.mkdir(exist_ok=True)
        command = [str(BINARY), "run", "--config", str(self._config), "--web.listen-address", f"127.0.0.1:{self.port}"]
        with open(self._directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._arguments],
                env={**os.environ, "STATE_DIRECTORY": str(state)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until("the agent answers", self._answers)

    def _answers(self) -> bool:
        process = self._process
        assert process is not None
        if process.poll() is not None:
            raise RuntimeError(f"the agent ended:\n{self.log()}")
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return "listening" in self.log()

    def kill(self) -> None:
        """Kills it with SIGKILL, and waits for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return (self._directory / "log").read_text()

    def series(self) -> dict[str, float]:
        """Returns the samples of ``/metrics`` by their text."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {series: float(value) for series, value in samples}

    def has(self, *series: str) -> Callable[[], bool]:
        """Returns a check that ``/metrics`` has all these series with their values, such as ``queued{queue="a"} 3``."""

        def check() -> bool:
            samples = self.series()
            wanted = {name: float(value) for name, value in (one.rsplit(" ", 1) for one in series)}
            missing = {name: samples.get(name) for name, value in wanted.items() if samples.get(name) != value}
            assert not missing, f"{missing} of {[name for name in samples if not name.startswith('bellwether_')]}"
            return True

        return check


@pytest.fixture
def start_agent(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Starts agents that end with the test."""
    agents: list[Agent] = []

    def start(config: str, *arguments: str) -> Agent:
        agents.append(Agent(tmp_path, config, *arguments))
        agents[-1].start()
        return agents[-1]

    yield start
    for agent in agents:
        agent.kill()
