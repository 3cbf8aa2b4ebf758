"""The real agent, as the tests of our own client start it."""

from agent import start_agent

__all__ = ["start_agent"]
