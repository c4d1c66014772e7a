"""A gRPC collector that compresses its responses, as Go servers do.

Prints its port, then a line of JSON for each request. Rejects one span of a batch whose first span is called `reject`.
The first argument, if any, is the maximum size of a request in bytes. Exits when its standard input closes.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service


class Traces(service.TraceServiceServicer):
    def Export(self, request, context):
        names = [
            span.name
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        metadata = dict(context.invocation_metadata())
        print(json.dumps({"names": names, "agent": metadata.get("user-agent", "")}), flush=True)
        response = messages.ExportTraceServiceResponse()
        if names[0] == "reject":
            response.partial_success.rejected_spans = 1
            # Long enough for gzip to shorten it; otherwise it would be sent uncompressed.
            response.partial_success.error_message = "too old " * 50
        elif names[0] == "warn":
            response.partial_success.error_message = "soon full " * 50
        return response


options = [("grpc.max_receive_message_length", int(size)) for size in sys.argv[1:]]
server = grpc.server(ThreadPoolExecutor(2), compression=grpc.Compression.Gzip, options=options)
service.add_TraceServiceServicer_to_server(Traces(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(0).wait()
