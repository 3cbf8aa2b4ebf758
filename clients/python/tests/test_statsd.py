"""StatsD lines, read from a socket."""

from __future__ import annotations

import socket

import pytest

from bellwether import Client
from bellwether.record import Record
from bellwether.transport import packets


def test_values_are_lines_of_dogstatsd(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        with Client(f"statsd://127.0.0.1:{receiver.getsockname()[1]}") as client:
            client.inc("mails", 2, provider="ses")
            client.set("temperature", -3.5)
            client.observe("took", 0.25, page="a|b,c:d\ne")
            client.add("gauge", 1)
            assert client.flush()
            assert client.stats() == (3, 1, 0, 0, 0)
        lines = receiver.recv(65536).decode().split("\n")
    assert lines == [
        "mails:2.0|c|#provider:ses",
        "temperature:0|g",
        "temperature:-3.5|g",
        "took:0.25|h|#page:a_b_c:d_e",
    ]
    assert "add is not possible over StatsD" in caplog.text


def test_packets_hold_whole_lines_up_to_their_size() -> None:
    records = [Record("inc", "a" * 20, 1.0, ()) for _ in range(10)]
    assert [len(packet) for packet in packets(records, 80)] == [80, 80, 80, 26]
    assert [len(packet) for packet in packets(records, 1)] == [26] * 10


def test_a_line_cannot_be_forged() -> None:
    forged = Record("inc", "a:1|c\nb", 1.0, (("x:y|z", "1"),))
    assert list(packets([forged], 100)) == [b"a_1_c_b:1.0|c|#x_y_z:1"]
