"""Records metrics of a Python program into Bellwether.

>>> from bellwether import Client
>>> metrics = Client()
>>> metrics.inc("mails_sent", provider="ses")
"""

from bellwether.client import Client
from bellwether.sender import Stats
from bellwether.timing import ApiRequest, Timer

__all__ = ["ApiRequest", "Client", "Stats", "Timer"]
