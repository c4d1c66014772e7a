"""Sends a trace, a log record and metrics with OpenTelemetry's SDK for Python. Arguments: grpc or http, and the endpoint."""

import logging
import sys

from opentelemetry import metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

protocol, endpoint = sys.argv[1:]
if protocol == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    def made(exporter, _path):
        return exporter(endpoint=endpoint, insecure=True, compression=Compression.Gzip)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    def made(exporter, path):
        return exporter(endpoint=f"{endpoint}/v1/{path}", compression=Compression.Gzip)

resource = Resource.create({"service.name": "python"})
traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(made(OTLPSpanExporter, "traces")))
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(made(OTLPLogExporter, "logs")))
reader = PeriodicExportingMetricReader(made(OTLPMetricExporter, "metrics"))
meters = MeterProvider(resource=resource, metric_readers=[reader])
logger = logging.getLogger("cart")
logger.addHandler(LoggingHandler(logger_provider=logs))

tracer = traces.get_tracer("shop", "1.0")
meter = meters.get_meter("shop")
with tracer.start_as_current_span("GET /cart", kind=trace.SpanKind.SERVER) as span:
    with tracer.start_as_current_span("query", kind=trace.SpanKind.CLIENT, attributes={"rows": 3, "tags": ["a", "b"]}) as child:
        child.add_event("cache.miss", {"key": "7"})
        child.set_status(trace.Status(trace.StatusCode.ERROR, "timeout"))
    meter.create_histogram("duration", unit="s").record(0.25, {"route": "/cart"})
    meter.create_counter("requests").add(2, {"route": "/cart"})
    logger.warning("the cart is empty")
print(f"{span.get_span_context().trace_id:032x}")
traces.shutdown()
logs.shutdown()
meters.shutdown()
