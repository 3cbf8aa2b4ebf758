"""Examples of the documents, run against the real agent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from agent import ROOT, Agent, until

CONFIG = """
performance_monitor:
  collection_interval: 1s
  enabled_collectors: [application]
  prometheus: {metric_prefix: ''}
"""


@pytest.mark.parametrize("page", ["clients/python/README.md", "docs/collecting.md"])
def test_the_examples_record_what_they_say(
    shipped_metrics: str, start_agent: Callable[..., Agent], monkeypatch: Any, page: str
) -> None:
    collecting = (ROOT / "docs/collecting.md").read_text()
    own = next(line for line in collecting.splitlines() if "name: render_time" in line)
    mails = next(line for line in collecting.splitlines() if "name: mails_sent" in line)
    agent = start_agent(f"{CONFIG}{shipped_metrics}\n{own}\n{mails}\n")
    monkeypatch.setenv("BELLWETHER_URL", agent.url)
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    if asyncio.iscoroutinefunction(names["render"]):
        asyncio.run(names["render"]())
        names["summarize"]("text")
    client = names["metrics"]
    assert client.close()
    assert client.stats()[1:] == (0, 0, 0, 0) and client.stats().sent >= 4
    until(
        "the values are there",
        agent.has('mails_sent{provider="ses"} 1', 'agent_execution_count{agent_name="summary",status="success"} 1'),
    )
    assert 'render_time_count{page="home"}' in agent.series()


def test_the_table_has_every_method() -> None:
    from bellwether import Client

    readme = (ROOT / "clients/python/README.md").read_text()
    methods = {name for name in vars(Client) if not name.startswith("_")}
    assert {name for name in methods if f"`{name}(" not in readme} == set()


def test_the_version_is_that_of_bellwether() -> None:
    def version(path: str) -> str:
        found = re.search(r'^version = "(.*)"$', (ROOT / path).read_text(), re.MULTILINE)
        assert found
        return found[1]

    assert version("clients/python/pyproject.toml") == version("Cargo.toml")
