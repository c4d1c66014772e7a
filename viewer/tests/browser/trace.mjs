// One trace: keys, links, folding, size.

import { address, appears, CHECKOUT, equal, holds, HOSTILE, LARGE, texts } from './check.mjs';

const selected = (page) => page.run(() => document.querySelector('.span[aria-selected=true] .name .cut')?.textContent);

export const cases = {
  async 'the likely origin is named, and the recovered error is told apart'({ open }) {
    const page = await open(`/trace/${CHECKOUT}`);
    await appears(page, '.origin', 'UPDATE stock');
    equal(await selected(page), 'UPDATE stock', 'the selected span');
    await appears(page, '.span .tag', 'Origin');
    await appears(page, '.span .tag', 'Retried');
    await appears(page, '.panel .value', '40P01');
    holds(await page.run(() => document.querySelectorAll('.critical').length > 5), 'the critical path is drawn');
    holds(await page.run(() => document.querySelectorAll('.pin').length > 3), 'logs lie on their spans');
  },

  async 'the trace is read with the keyboard alone'({ open }) {
    const page = await open(`/trace/${CHECKOUT}`);
    await appears(page, '.span[aria-selected=true]');
    await page.press('k', 'k');
    equal(await selected(page), 'INSERT orders', 'two rows up');
    holds(await page.run(() => document.activeElement.matches('.span[aria-selected=true]')), 'the focus follows');
    await page.press('c');
    await page.until('no critical path', () => document.querySelectorAll('.critical').length === 0);
    await page.press('l');
    await page.until('no logs', () => document.querySelectorAll('.pin').length === 0);
    await page.press('z');
    await page.until('zoomed', () => /from=/.test(location.search));
    holds(/cp=0/.test(await address(page)) && /logs=0/.test(await address(page)), 'toggles are in the address');
    await page.press('Escape');
    await page.until('the whole trace', () => !/from=/.test(location.search));
    await page.press('Escape');
    await page.until('no panel', () => document.querySelector('.panel').hidden);
    await page.press('e');
    equal(await selected(page), 'UPDATE stock', 'e');
    await page.press('ArrowLeft');
    equal(await selected(page), 'POST /orders', 'the parent');
    const rows = (await texts(page, '.span')).length;
    await page.press('ArrowLeft');
    await page.until('folded', (before) => document.querySelectorAll('.span').length < before, rows);
    await page.press('ArrowRight');
    await page.until('unfolded', (before) => document.querySelectorAll('.span').length === before, rows);
  },

  async 'equal siblings are one row that opens'({ open }) {
    const page = await open(`/trace/${CHECKOUT}`);
    await appears(page, '.span .tag', '8 in a row');
    const before = (await texts(page, '.span')).length;
    await page.click('.span:has(.tag.odd) button.twist[aria-label=Unfold]');
    await page.until('each', (rows) => document.querySelectorAll('.span').length >= Math.min(rows + 7, 30), before);
    await appears(page, '.span', '8/8');
  },

  async 'a link shows the same again'({ open }) {
    const page = await open(`/trace/${CHECKOUT}?span=0000000000000011&from=100&to=300&cp=0`);
    equal(await selected(page), 'POST /v1/charges', 'the span of the link');
    holds(await page.run(() => document.querySelectorAll('.critical').length === 0), 'the critical path is off');
    equal(await page.run(() => document.querySelector('.axis .time span').textContent.trim()), '100 ms', 'the axis');
  },

  async 'attributes are copied and filtered by'({ open }) {
    const page = await open(`/trace/${CHECKOUT}`);
    await appears(page, '.pair', 'db.collection.name');
    await page.click('[aria-label="Copy db.collection.name"]');
    await appears(page, '#said', 'Copied');
    await page.click('[aria-label="Filter by db.collection.name"]');
    await page.until('the filter', () => location.pathname === '/traces' && location.search.includes('db.collection.name=stock'));
    await appears(page, '.trace-row', 'POST /checkout');
  },

  async '50,000 spans open quickly and scroll'({ open }) {
    const page = await open('/findings');
    const before = await page.work();
    await page.run((path) => { const anchor = document.createElement('a'); anchor.href = path; document.body.append(anchor); anchor.click(); }, `/trace/${LARGE}`);
    await page.until('the rows', () => document.querySelectorAll('.span').length > 10);
    const work = await page.work() - before;
    process.stderr.write(`        50,000 spans opened with ${Math.round(work)} ms of work\n`);
    holds(work < 1500, `opening took ${Math.round(work)} ms of work`);
    holds(await page.run(() => document.querySelectorAll('.span').length < 80), 'only rows in view exist');
    await page.press('e');
    await page.run(() => { const list = document.querySelector('[role=treegrid]'); list.scrollTop = list.scrollHeight; });
    await page.until('the last row', () => { const rows = [...document.querySelectorAll('.span')]; return Number(rows.at(-1)?.getAttribute('aria-rowindex')) === Number(document.querySelector('[role=treegrid]').getAttribute('aria-rowcount')); });
  },

  async 'hostile names and values stay text'({ open }) {
    for (const path of [`/trace/${HOSTILE}`, '/traces?range=all', '/logs?range=all', '/map?range=all', '/metrics', '/findings']) {
      const page = await open(path);
      await page.run(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
      holds(await page.run(() => document.querySelectorAll('main img, main script, main iframe, main style').length === 0 && !window.hurt), `markup came to life on ${path}`);
      const all = await page.run(() => document.body.innerText);
      const hidden = /[\u202a-\u202e\u0000-\u0008\u000e-\u001f]/;
      holds(!hidden.test(all), `hidden characters on ${path}`);
      holds(!hidden.test(await page.run(() => document.title)), `hidden characters in the title of ${path}`);
      if (path.startsWith('/trace/')) holds(all.includes('<img src=x') && all.includes('⟨202e⟩') && all.includes('␛'), `the name is visible as it is: ${all.slice(0, 300)}`);
    }
  },

  async 'a trace that is not held says so'({ open }) {
    const page = await open('/trace/0123456789abcdef0123456789abcdef');
    await appears(page, '.lonely a', 'Back to the traces');
  },
};
