// The empty store: where to send telemetry, and three ways to do so.

import { copy, h } from './dom.js';

/** Returns true while the store has never held anything that this page could show. */
export const isEmpty = (status) => Boolean(status) && !status.spans && !status.records && !status.series && !status.traces;

/** The page of an empty store. */
export function welcome({ status }) {
  const { receivers = [], in_process: inProcess, address } = status();
  const http = receivers.find(({ protocol }) => protocol === 'http')?.address ?? '127.0.0.1:4318';
  const grpc = receivers.find(({ protocol }) => protocol === 'grpc')?.address;
  return {
    title: 'Waiting',
    empty: true,
    hints: [],
    element: h('div', { class: 'lonely' },
      h('h1', null, 'Waiting for the first span'),
      h('p', { class: 'soft' }, inProcess
        ? `This page is served by your program at ${address}. It shows what the program records from now on.`
        : `OTLP is received at http://${http}${grpc ? ` and, over gRPC, at http://${grpc}` : ''}. Send traces, metrics or logs in one of these ways:`),
      (inProcess ? IN_PROCESS : waysTo(http)).map(([title, text]) => line(title, text)),
      h('p', { class: 'soft' }, 'This page changes by itself when the first item arrives.')),
  };
}

const IN_PROCESS = [
  ['Rust', '#[telemark::traced]\nfn work() {}'],
  ['Environment', 'OTEL_TRACES_EXPORTER=viewer OTEL_METRICS_EXPORTER=viewer OTEL_LOGS_EXPORTER=viewer'],
];

const waysTo = (address) => [
  ['Environment', `OTEL_EXPORTER_OTLP_ENDPOINT=http://${address} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`],
  ['Rust', 'let _telemark = telemark::init()?;'],
  ['curl', `curl http://${address}/v1/traces -H 'content-type: application/json' -d '${SAMPLE()}'`],
];

// A span that started a moment ago, so that the reader finds it in the last minute.
const SAMPLE = () => {
  const now = Date.now();
  return JSON.stringify({
    resourceSpans: [{
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'hello' } }] },
      scopeSpans: [{
        spans: [{
          traceId: hex(16), spanId: hex(8), name: 'first span', kind: 1, startTimeUnixNano: `${now - 20}000000`, endTimeUnixNano: `${now}000000`,
        }],
      }],
    }],
  });
};

function hex(bytes) {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function line(title, text) {
  return h('div', { class: 'copyable' },
    h('span', { class: 'strong' }, title),
    h('code', null, text),
    h('button', { type: 'button', class: 'link', on: { click: (event) => copy(text, event.target) } }, 'Copy'));
}
