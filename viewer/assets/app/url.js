// The address bar: everything the reader sees is in it, so a link shows the same again.

/** Returns the parameters of the page. */
const parameters = () => new URLSearchParams(location.search);

/** Returns one parameter, or `otherwise`. */
export const parameter = (name, otherwise = '') => parameters().get(name) ?? otherwise;

/** Builds a path with parameters, leaving out those that are empty. */
export function path(base, values = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== '') search.set(name, value);
  }
  const text = readable(search);
  return text ? `${base}?${text}` : base;
}

// Characters of the query language stay readable in links.
const readable = (search) => search.toString().replaceAll('%3A', ':').replaceAll('%2F', '/').replaceAll('%3E', '>').replaceAll('%3D', '=');

/** Opens a page as a new entry of the history. */
export function go(href) {
  history.pushState({ depth: depth() + 1 }, '', href);
  dispatchEvent(new Event('route'));
}

/** Changes parameters in place: typing and toggling make no entry. */
export function change(values) {
  const search = parameters();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || value === '') search.delete(name);
    else search.set(name, value);
  }
  const text = readable(search);
  history.replaceState(history.state, '', location.pathname + (text ? `?${text}` : ''));
}

/** Returns to the page before, or to `otherwise` if this page was opened by a link. */
export function back(otherwise) {
  if (depth() > 0) history.back();
  else go(otherwise);
}

const depth = () => history.state?.depth ?? 0;

const RANGES = { '1m': 60, '5m': 300, '15m': 900 };

/** The choices of a range button group. */
export const RANGE_CHOICES = [['1m', '1m'], ['5m', '5m'], ['15m', '15m'], ['all', 'All']];

/** Returns the window of time that the page shows, in microseconds; `fixed` if the link says absolute times. */
export function timeWindow(now, otherwise = '5m') {
  const from = Number(parameter('from')) || undefined;
  const to = Number(parameter('to')) || undefined;
  if (from || to) return { from, to, fixed: true };
  const seconds = RANGES[parameter('range', otherwise)];
  return seconds ? { from: now - seconds * 1e6, to: undefined, fixed: false } : { from: undefined, to: undefined, fixed: false };
}

/** Returns a link to this page with absolute times in place of "the last 5 minutes". */
export function permanent(now, otherwise) {
  const relative = ['/traces', '/logs', '/map', '/metrics'].includes(location.pathname);
  const { from, fixed } = timeWindow(now, otherwise);
  const url = new URL(location.href);
  if (relative && !fixed && from) {
    url.searchParams.delete('range');
    url.searchParams.set('from', Math.round(from));
    url.searchParams.set('to', Math.round(now));
  }
  return url.origin + url.pathname + (url.search ? `?${readable(url.searchParams)}` : '');
}
