// The panel of one span: facts, status, attributes, events and logs, links, resource.

import { copy, h, mark, square, tag } from '../app/dom.js';
import { count, duration, severity, short } from '../app/format.js';
import { get } from '../app/api.js';
import { patch } from '../app/patch.js';
import { released } from '../app/press.js';
import { path } from '../app/url.js';
import { quoted } from '../app/search.js';
import { FLAG, onPath } from './tree.js';

const CLIPPED = 'Values longer than 16 KiB are cut by the store.';

/** Builds the panel. `close()` is called by its button. */
export function panel(view, { id, close, signal }) {
  const element = h('aside', { class: 'panel', 'aria-label': 'Span' });
  let asked;
  // The span that is shown, and what the viewer said about it.
  let shown;
  let body;
  let trouble;
  signal.addEventListener('abort', () => asked?.abort());

  /** Shows the selected span: at once what the trace says, then what the span itself holds. */
  async function show() {
    const { tree, selected } = view;
    asked?.abort();
    if (selected < 0) { shown = undefined; return; }
    const span = tree.columns.id[selected];
    if (span !== shown) {
      body = undefined;
      trouble = undefined;
      element.scrollTop = 0;
    }
    shown = span;
    draw();
    const mine = new AbortController();
    asked = mine;
    try {
      const answer = await get(`/trace/${id}/span/${span}.json`, { signal: mine.signal, quiet: true });
      await released();
      if (mine.signal.aborted) return;
      body = answer;
      trouble = undefined;
    } catch (error) {
      if (mine.signal.aborted) return;
      // What is shown stays, if the viewer only could not be reached.
      trouble = body ? undefined : error.message;
    }
    draw();
  }

  /** Draws the span as far as it is known, for example when it has run for longer. */
  function draw() {
    const { tree, selected } = view;
    if (selected < 0) return;
    patch(element, head(tree, selected, body), body && sections(tree, selected, body), trouble && h('div', { class: 'section small' }, trouble));
  }

  function head(tree, index, body) {
    const { columns, data } = tree;
    const flags = columns.flags[index];
    const running = Boolean(flags & FLAG.running);
    const called = data.services[tree.colour[index]] ?? {};
    const service = data.services[columns.service[index]] ?? {};
    const path = onPath(tree, index);
    const kind = body?.kind ?? (flags & FLAG.server ? 'server' : flags & FLAG.client ? 'client' : '');
    return h('div', { class: 'head' },
      h('div', { class: 'title' }, square(called.name, called.hue), h('h2', { class: 'cut', title: data.names[columns.name[index]] }, data.names[columns.name[index]]),
        data.origin?.span === index && tag('Origin', 'bad'), flags & FLAG.recovered ? tag('Retried', 'odd') : null, running && tag('Running', '', 'This span has not ended'),
        h('span', { class: 'space' }), h('button', { class: 'close', type: 'button', 'aria-label': 'Close', on: { click: close } }, '✕')),
      h('div', { class: 'soft small' }, called === service ? service.name : `${service.name} → ${called.name}`, kind && ` · ${kind.toLowerCase()}`),
      h('dl', { class: 'facts' },
        fact(running ? 'Running for' : 'Duration', duration(columns.duration[index])), fact('Start', `+${duration(columns.start[index])}`),
        fact('Critical path', path ? duration(path) : '–'), past(body?.baseline, columns.duration[index], running)));
  }

  function sections(tree, index, body) {
    const service = tree.data.services[tree.columns.service[index]] ?? {};
    const failed = body.status?.code === 'error';
    const moments = [
      ...(body.records ?? []).map((record) => ({ at: record.at, kind: severity(record.severity).mark, text: record.body, record: record.id })),
      ...(body.events ?? []).map((event) => ({ at: event.time ?? event.at, kind: 'event', text: eventText(event), attributes: event.attributes })),
    ].sort((a, b) => a.at - b.at);
    return [
      failed && h('div', { class: 'section' }, h('h3', { class: 'caption' }, 'Status'),
        h('div', { class: 'status error' }, mark('error'), h('span', null, body.status.message || 'Error, without a message'))),
      h('div', { class: 'section' }, h('h3', { class: 'caption' }, 'Attributes', h('span', { class: 'soft' }, count(body.attributes.length))),
        body.attributes.length ? body.attributes.map((attribute) => pair(attribute))
          : h('span', { class: 'small soft' }, body.running ? 'The attributes of a span arrive with its end' : 'None'),
        dropped(body.dropped)),
      moments.length > 0 && h('div', { class: 'section' }, h('h3', { class: 'caption' }, 'Logs and events', h('span', { class: 'soft' }, count(moments.length))),
        moments.slice(0, 200).map((moment) => momentLine(moment, id))),
      body.links?.length > 0 && h('div', { class: 'section' }, h('h3', { class: 'caption' }, 'Links'), body.links.map(linkLine)),
      h('div', { class: 'section' }, h('h3', { class: 'caption' }, 'Resource'), (body.resource ?? []).map((attribute) => pair(attribute)),
        service.skew_ns ? h('div', { class: 'small soft' }, `The clock of ${service.name} was corrected by ${service.skew_ns > 0 ? '+' : ''}${duration(service.skew_ns)}.`) : null),
      h('div', { class: 'section' }, h('h3', { class: 'caption' }, 'Span'),
        pair(['span id', tree.columns.id[index]], false), body.scope?.name ? pair(['scope', `${body.scope.name} ${body.scope.version ?? ''}`.trim()], false) : null,
        body.self !== undefined && pair(['own time', duration(body.self)], false),
        h('a', { class: 'small link', href: path('/logs', { q: `trace:${id}`, range: 'all' }) }, 'Logs of this trace')),
    ];
  }

  return { element, show, draw };
}

const fact = (name, value, tone) => [h('dt', null, name), h('dd', { class: tone }, value)];

function past(baseline, length, running) {
  if (!baseline) return null;
  const ratio = running && baseline.median ? length / baseline.median : baseline.ratio;
  const slow = ratio >= 2;
  const text = slow ? `${ratio >= 9.95 ? Math.round(ratio) : ratio.toFixed(1)}× median` : running ? 'not slow yet' : 'normal';
  return [h('dt', null, 'Against its past'), h('dd', { class: slow ? 'error strong' : '', title: `Median ${duration(baseline.median)}, MAD ${duration(baseline.mad)}, ${count(baseline.n)} calls` }, text)];
}

/** One attribute with Copy and Filter. */
export function pair([key, value], filter = true, where = '/traces') {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return h('div', { class: 'pair' },
    h('span', { class: 'cut', title: key }, key),
    h('span', { class: 'value', title: text.length > 16000 ? CLIPPED : undefined }, text),
    h('span', { class: 'acts' },
      h('button', { type: 'button', 'aria-label': `Copy ${key}`, on: { click: (event) => copy(text, event.target) } }, 'Copy'),
      filter && h('a', { href: path(where, { q: `${quoted(key)}=${quoted(text)}` }), 'aria-label': `Filter by ${key}` }, 'Filter')));
}

function eventText(event) {
  const message = event.attributes?.find(([key]) => key === 'exception.message')?.[1];
  const kind = event.attributes?.find(([key]) => key === 'exception.type')?.[1];
  const detail = message ?? kind ?? (event.attributes ?? []).slice(0, 3).map(([key, value]) => `${key}=${value}`).join(' ');
  return detail ? `${event.name}: ${detail}` : event.name;
}

function momentLine({ at, kind, text, record, attributes }, id) {
  const parts = [h('span', { class: 'soft' }, `+${duration(at)}`), mark(kind), h('span', null, text)];
  const title = attributes?.map(([key, value]) => `${key}=${value}`).join('\n');
  return record === undefined
    ? h('div', { class: 'moment', title }, parts)
    : h('a', { class: 'moment', href: path('/logs', { q: `trace:${id}`, open: record, range: 'all' }) }, parts);
}

function linkLine(link) {
  const text = `${link.name ?? 'Span'} ${short(link.trace)}`;
  const why = (link.attributes ?? []).map(([key, value]) => `${key}=${value}`).join(' ');
  return h('div', { class: 'small' },
    link.held ? h('a', { class: 'link', href: path(`/trace/${link.trace}`, { span: link.span }) }, text) : h('span', { class: 'soft' }, `${text}, not held`),
    why && h('span', { class: 'soft' }, ` ${why}`));
}

function dropped(numbers) {
  const named = typeof numbers === 'number' ? [['items', numbers]] : Object.entries(numbers ?? {});
  const parts = named.filter(([, number]) => number > 0).map(([name, number]) => `${count(number)} ${name}`);
  return parts.length ? h('div', { class: 'small soft' }, `Dropped by the program's limits: ${parts.join(', ')}.`) : null;
}
