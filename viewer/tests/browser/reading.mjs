// Traces, metrics, logs, map and findings.

import { address, appears, CHECKOUT, equal, focus, holds, polls, texts } from './check.mjs';

const names = (page) => texts(page, '.trace-row .name .cut');

export const cases = {
  async 'a histogram leads by an exemplar to the trace, its log and back'({ open }) {
    const page = await open('/metrics?i=http.server.request.duration');
    await appears(page, '.heat a.exemplar');
    await page.press('ArrowRight');
    await appears(page, '.exemplar:focus');
    await page.press('Enter');
    await page.until('the trace', (id) => location.pathname === `/trace/${id}`, CHECKOUT);
    await appears(page, '.span[aria-selected=true]', 'POST /checkout');
    await page.press('e');
    await appears(page, '.panel h2', 'UPDATE stock');
    await page.click('.panel a.moment', 'deadlock detected');
    await page.until('the logs', () => location.pathname === '/logs');
    await appears(page, '.record[aria-expanded=true]', 'deadlock detected');
    await page.press('t');
    await appears(page, '.panel h2', 'UPDATE stock');
    for (const path of ['/logs', `/trace/${CHECKOUT}`, '/metrics']) {
      await page.run(() => history.back());
      await page.until(`back to ${path}`, (wanted) => location.pathname === wanted, path);
    }
    await appears(page, '.heat a.exemplar');
  },

  async 'facets and words filter the list'({ open }) {
    const page = await open('/traces?range=all');
    await appears(page, '.trace-row', 'GET /products');
    await page.click('.facet', 'Error');
    await page.until('failing traces only', () => { const rows = [...document.querySelectorAll('.trace-row')]; return rows.length > 0 && rows.every((row) => row.matches('.failed')); });
    equal(await address(page), '/traces?range=all&q=status:error', 'the address');
    await page.press('/');
    await page.type(' >500ms');
    await page.until('one trace', () => decodeURIComponent(location.search).includes('>500ms') && [...document.querySelectorAll('.trace-row .length')].every((cell) => /\d s|[5-9]\d\d ms/.test(cell.textContent)));
    holds((await names(page)).includes('POST /checkout'), 'the slow checkout is in the list');
    await page.type(' name:nothing-has-this-name');
    await page.click('button', 'Clear the search');
    await appears(page, '.trace-row', 'GET /products');
  },

  async 'a query that is not valid says why, and the list stays'({ open }) {
    const page = await open('/traces?range=all');
    await appears(page, '.trace-row');
    await page.press('/');
    await page.type('>12parsecs');
    await appears(page, '[role=alert]:not([hidden])', 'Not a query');
    equal(await page.run(() => document.querySelector('.query input').getAttribute('aria-invalid')), 'true', 'aria-invalid');
    holds((await names(page)).length > 0, 'the list stays');
  },

  async 'the query field completes what is typed'({ open }) {
    const page = await open('/traces?range=all');
    await page.press('/');
    await page.type('serv');
    await appears(page, '.offers li', 'service:');
    await page.press('ArrowDown', 'Enter');
    await page.until('the word', () => document.querySelector('.query input').value.startsWith('service:'));
  },

  async 'a new trace enters at the top, and waits if the reader has scrolled'({ open, parent }) {
    const page = await open('/traces');
    await appears(page, '.trace-row');
    await parent('live first-new');
    await page.until('the new trace', () => document.querySelector('.trace-row .name')?.textContent.includes('first-new'));
    await page.run(() => { document.querySelector('.scroll').scrollTop = 200; });
    const before = await names(page);
    await parent('live second-new');
    await appears(page, '.fresh button', 'new');
    equal(await names(page), before, 'the rows do not move');
    await page.click('.fresh button');
    await page.until('the second', () => document.querySelector('.trace-row .name')?.textContent.includes('second-new'));
  },

  async 'a paused page takes nothing new'({ open, parent }) {
    const page = await open('/traces');
    await appears(page, '.trace-row');
    await page.press(' ');
    await appears(page, '#live', 'Paused');
    const before = await names(page);
    await parent('live unseen');
    // The header still follows the store, so two more answers have arrived once it has asked twice.
    await polls(page, 3);
    equal(await names(page), before, 'the rows while paused');
    await page.press(' ');
    await page.until('the trace after resuming', () => document.querySelector('.trace-row .name')?.textContent.includes('unseen'));
  },

  async 'dragging over the chart selects a range of time'({ open }) {
    const page = await open('/traces');
    await appears(page, '.scatter');
    const box = await page.run(() => { const { x, y, width, height } = document.querySelector('.scatter').getBoundingClientRect(); return { x, y, width, height }; });
    await page.drag({ x: box.x + box.width * 0.5, y: box.y + 40 }, { x: box.x + box.width * 0.9, y: box.y + 60 });
    await page.until('absolute times', () => /from=\d{16}&to=\d{16}/.test(location.search));
    await page.press('b');
    holds(await page.run(() => document.querySelector('.brush').getAttribute('visibility') === 'visible'), 'b shows a range');
    const before = await page.run(() => location.search);
    await page.press('ArrowLeft', 'Enter');
    await page.until('another range', (old) => location.search !== old, before);
  },

  async 'logs are found by severity and show their trace or its absence'({ open }) {
    const page = await open('/logs?range=all');
    await appears(page, '.record', 'no trace');
    await page.click('.segment button', 'ERROR');
    await page.until('errors only', () => { const rows = [...document.querySelectorAll('.record')]; return rows.length > 0 && rows.every((row) => row.matches('.failed')); });
    await page.click('.record', 'deadlock detected');
    await appears(page, '.record-open', 'Open in trace');
    holds(/open=/.test(await address(page)), 'the open record is in the address');
  },

  async 'every kind of finding is shown on data made to have it'({ open }) {
    const page = await open('/findings');
    await appears(page, '.finding');
    const kinds = await page.run(() => [...new Set([...document.querySelectorAll('.finding')].map((one) => one.dataset.kind))].sort());
    equal(kinds, ['missing_parent', 'n_plus_one', 'repeated', 'retries', 'slow'], 'the kinds');
    await appears(page, '.costs h2', 'Bytes by attribute');
    await appears(page, '.costs td', 'db.query.text');
    await page.press('j', 'Enter');
    await page.until('the example', () => location.pathname.startsWith('/trace/'));
  },

  async 'the map draws each edge and lists it'({ open }) {
    const page = await open('/map?range=all');
    await appears(page, '.edges tbody tr', 'orders');
    const edges = await page.run(() => [document.querySelectorAll('.map .edge').length, document.querySelectorAll('.edges tbody tr').length]);
    holds(edges[0] > 3 && edges[0] === edges[1], `${edges[0]} edges drawn, ${edges[1]} listed`);
    holds((await texts(page, '.node.outside text')).some((text) => text.includes('database')), 'databases are in the map');
    await page.press('j', 'Enter');
    await page.until('traces of the edge', () => location.pathname === '/traces' && location.search.includes('service:'));
  },

  async 'two marked traces are compared, and two windows'({ open }) {
    const page = await open('/traces?range=all&q=name:%22POST%20/checkout%22');
    await appears(page, '.trace-row:nth-of-type(2)');
    await page.press('j', 'x');
    await appears(page, '.note', 'choose the second trace');
    await page.press('j', 'x');
    await page.until('the comparison', () => location.pathname === '/compare');
    await appears(page, 'tbody tr', 'UPDATE stock');
    const other = await open('/traces?range=5m');
    await other.click('.button', 'Compare');
    await other.click('.note a.link');
    await appears(other, 'h1', 'Compare');
  },

  async 'a metric splits by attribute and shows as a table'({ open }) {
    const page = await open('/metrics?i=http.server.request.duration');
    await page.click('.segment button', 'http.route');
    await appears(page, 'td.mono', '/checkout');
    await page.press('t');
    await appears(page, '.chart table th', 'Time');
    await page.press('j');
    await page.until('the next instrument', () => document.activeElement?.matches('.instrument[aria-pressed=true]'));
    holds((await focus(page)).length > 0, 'the instrument has the focus');
  },
};
