"""A gRPC server with health checks for tests: tests/servers/grpc_server.py --port PORT [--cert FILE --key FILE] [--token TOKEN]

The server and the service "up" are SERVING, the service "down" is NOT_SERVING. With a token, calls need it in their metadata.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--cert", type=Path)
parser.add_argument("--key", type=Path)
parser.add_argument("--token")
options = parser.parse_args()


class Login(grpc.ServerInterceptor):
    def intercept_service(self, continuation, call):
        if ("authorization", f"Bearer {options.token}") in call.invocation_metadata:
            return continuation(call)
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "a token is needed")
        )



servicer = health.HealthServicer()
servicer.set("up", health_pb2.HealthCheckResponse.SERVING)
servicer.set("down", health_pb2.HealthCheckResponse.NOT_SERVING)
server = grpc.server(ThreadPoolExecutor(max_workers=4), interceptors=[Login()] if options.token else [])
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
address = f"127.0.0.1:{options.port}"
if options.cert:
    pair = (options.key.read_bytes(), options.cert.read_bytes())
    server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
else:
    server.add_insecure_port(address)
server.start()
server.wait_for_termination()
