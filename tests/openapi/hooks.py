"""Hooks of schemathesis."""

import schemathesis

# A request may ask for a timeout of zero, and gets 503 then, as from Prometheus: that is no error of the server.
NOT_SENT = "timeout"


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Takes the parameter that must not be sent out of the document."""
    for path in raw_schema["paths"].values():
        for operation in path.values():
            parameters = operation.get("parameters", [])
            operation["parameters"] = [one for one in parameters if one["name"] != NOT_SENT]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                content["schema"].get("properties", {}).pop(NOT_SENT, None)
