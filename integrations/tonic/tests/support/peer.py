"""A gRPC peer written in Python, without generated code: a server, or a client that makes one call of each kind.

server        prints its port; the methods of test.Peer return the request's traceparent
client PORT   calls test.Echo on 127.0.0.1:PORT, and prints one line per call: the status, then the messages
"""

import sys
from concurrent import futures

import grpc

CALLS = [
    ("Unary", ["hello"]),
    ("Unary", ["fail 7 not you"]),
    ("ServerStream", ["a\nb\nfail 15 gone"]),
    ("ClientStream", ["a", "b"]),
    ("Bidi", ["a", "fail 11 too far"]),
    ("Nope", ["hello"]),
]


class Peer(grpc.GenericRpcHandler):
    def service(self, details):
        parent = dict(details.invocation_metadata).get("traceparent", "")

        def unary(request, context):
            if request == b"fail":
                context.set_trailing_metadata((("x-last", "z"),))
                context.abort(grpc.StatusCode.ABORTED, "on purpose: é")
            return parent.encode()

        def stream(request, context):
            yield parent.encode()
            if request == b"fail":
                context.abort(grpc.StatusCode.DATA_LOSS, "after a message")

        if details.method == "/test.Peer/Unary":
            return grpc.unary_unary_rpc_method_handler(unary)
        if details.method == "/test.Peer/Stream":
            return grpc.unary_stream_rpc_method_handler(stream)
        return None


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(Peer(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def call(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method, messages in CALLS:
            received = []
            stub = channel.stream_stream(f"/test.Echo/{method}")
            try:
                for message in stub(iter(message.encode() for message in messages), timeout=30):
                    received.append(message.decode())
                status = "OK"
            except grpc.RpcError as error:
                status = error.code().name
            print(method, status, *received, flush=True)


if sys.argv[1] == "server":
    serve()
else:
    call(int(sys.argv[2]))
