// Sends a trace, a log record and metrics with OpenTelemetry's SDK for JavaScript. Arguments: grpc, protobuf or json, and the endpoint.
'use strict';

const { SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchSpanProcessor, BasicTracerProvider } = require('@opentelemetry/sdk-trace-base');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-logs');
const { context, trace } = require('@opentelemetry/api');

const [protocol, endpoint] = process.argv.slice(2);
const suffix = { grpc: 'grpc', protobuf: 'proto', json: 'http' }[protocol];
const made = (signal, name, path) => {
    const exporter = require(`@opentelemetry/exporter-${signal}-otlp-${suffix}`)[name];
    return new exporter({ url: protocol === 'grpc' ? endpoint : `${endpoint}/v1/${path}`, compression: 'gzip' });
};

async function main() {
    const resource = resourceFromAttributes({ 'service.name': 'javascript' });
    const spanProcessors = [new BatchSpanProcessor(made('trace', 'OTLPTraceExporter', 'traces'))];
    const traces = new BasicTracerProvider({ resource, spanProcessors });
    const processors = [new BatchLogRecordProcessor({ exporter: made('logs', 'OTLPLogExporter', 'logs') })];
    const logs = new LoggerProvider({ resource, processors });
    const reader = new PeriodicExportingMetricReader({ exporter: made('metrics', 'OTLPMetricExporter', 'metrics') });
    const meters = new MeterProvider({ resource, readers: [reader] });

    const tracer = traces.getTracer('shop', '1.0');
    const span = tracer.startSpan('GET /cart', { kind: SpanKind.SERVER });
    const inSpan = trace.setSpan(context.active(), span);
    const child = tracer.startSpan('query', { kind: SpanKind.CLIENT, attributes: { rows: 3, tags: ['a', 'b'] } }, inSpan);
    child.addEvent('cache.miss', { key: '7' });
    child.setStatus({ code: SpanStatusCode.ERROR, message: 'timeout' });
    child.end();
    const meter = meters.getMeter('shop');
    meter.createHistogram('duration', { unit: 's' }).record(0.25, { route: '/cart' });
    meter.createCounter('requests').add(2, { route: '/cart' });
    logs.getLogger('cart').emit({ severityNumber: 13, severityText: 'WARN', body: 'the cart is empty', context: inSpan });
    span.end();
    console.log(span.spanContext().traceId);
    await Promise.all([traces.shutdown(), logs.shutdown(), meters.shutdown()]);
}

main();
