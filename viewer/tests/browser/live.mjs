// What changes while the reader acts: redraws, running spans, hidden pages, connections that are lost.

import { address, appears, CHECKOUT, equal, holds, polls, texts } from './check.mjs';

const first = (page) => page.run(() => document.querySelector('.trace-row .name .cut')?.textContent);
const firstIs = (page, name) => page.until(`${name} at the top`, (wanted) => document.querySelector('.trace-row .name .cut')?.textContent === wanted, name);

/** Presses a control, lets the page change meanwhile, and releases it there. */
async function slowClick(page, at, change) {
  await page.mouse('mouseMoved', at);
  await page.mouse('mousePressed', at);
  await change();
  await page.mouse('mouseReleased', at);
}

export const cases = {
  async 'blanks that are typed stay, and so does the caret'({ open }) {
    const page = await open('/traces?range=all');
    await appears(page, '.trace-row');
    await page.press('/');
    await page.type('service:gateway ');
    await page.until('the search', () => new URLSearchParams(location.search).get('q') === 'service:gateway');
    await page.type('name:x');
    equal(await page.run(() => document.querySelector('.query input').value), 'service:gateway name:x', 'the field');
    for (let step = 0; step < 7; step += 1) await page.press('ArrowLeft');
    await page.type(' s');
    await page.until('the other search', () => new URLSearchParams(location.search).get('q') === 'service:gateway s name:x');
    equal(await page.run(() => document.querySelector('.query input').selectionStart), 'service:gateway s'.length, 'the caret');
  },

  async 'a click that is under way lands although the page redraws'({ open, parent }) {
    const page = await open('/traces');
    await appears(page, '.trace-row');
    await slowClick(page, await page.centre('.facet', 'Error'), async () => { await parent('live under-the-facet'); await polls(page, 2); });
    await page.until('the facet', () => location.search.includes('q=status:error'));
    await slowClick(page, await page.centre('.segment button', '15m'), async () => { await parent('live under-the-segment'); await polls(page, 2); });
    await page.until('the range', () => location.search.includes('range=15m'));
    await slowClick(page, await page.centre('header nav a', 'Findings'), async () => { await parent('live under-the-navigation'); await polls(page, 2); });
    await page.until('the findings', () => location.pathname === '/findings');
    await page.press('1');
    await page.until('the traces', () => location.pathname === '/traces' && document.querySelector('.trace-row'));
    const row = await page.centre('.trace-row');
    let wanted;
    await slowClick(page, row, async () => {
      wanted = await page.run(({ x, y }) => document.elementFromPoint(x, y).closest('.trace-row').dataset.trace, row);
      await parent('live under-the-row');
      await polls(page, 2);
    });
    await page.until('the trace that was pressed', (id) => location.pathname === `/trace/${id}`, wanted);
  },

  async 'a redraw keeps the focus, the selection and the elements'({ open, parent }) {
    const page = await open('/traces');
    await appears(page, '.trace-row');
    for (const [selector, name] of [['.facet', 'kept-facet'], ['.segment button', 'kept-segment'], ['header nav a', 'kept-link'], ['#live', 'kept-button']]) {
      await page.run((wanted) => { window.kept = document.querySelector(wanted); window.kept.focus(); }, selector);
      await parent(`live ${name}`);
      await firstIs(page, name);
      await polls(page, 1);
      holds(await page.run(() => window.kept === document.activeElement && window.kept.isConnected), `${selector} keeps the focus`);
    }
    await page.run(() => { window.kept = document.querySelector('.facet .number').firstChild; getSelection().selectAllChildren(document.querySelector('.trace-row .name .cut')); });
    const selected = await page.run(() => getSelection().toString());
    await parent('live kept-selection');
    await firstIs(page, 'kept-selection');
    equal(await page.run(() => [getSelection().toString(), window.kept.isConnected]), [selected, true], 'the selection');
  },

  async 'rows keep the focus while the list grows, and nothing moves under it'({ open, parent }) {
    const page = await open('/logs?range=all');
    await appears(page, '.record');
    await page.press('j', 'j', 'Enter');
    await appears(page, '.record-open');
    await page.run(() => { window.kept = document.activeElement; });
    await page.press('Enter', 'Enter');
    holds(await page.run(() => window.kept === document.activeElement && document.querySelector('.record-open')), 'the record stays while it is opened and closed');
    const trace = await open(`/trace/${CHECKOUT}`);
    await appears(trace, '.span[aria-selected=true]');
    await trace.press('k');
    await trace.run(() => { window.kept = document.activeElement; });
    await trace.press('c', 'l', 'z', '0');
    holds(await trace.run(() => window.kept === document.activeElement && window.kept.matches('.span')), 'a span keeps the focus');
    await parent('live after-the-span');
  },

  async 'what runs comes, grows and goes without loading the list'({ open, parent }) {
    const page = await open('/traces');
    await appears(page, '.trace-row');
    await polls(page, 2);
    const before = page.asked('/traces.json');
    await parent('starts slow-export');
    await appears(page, '.trace-row .tag', 'Running');
    equal(await first(page), 'slow-export', 'the trace that runs');
    const length = () => document.querySelector('.trace-row .length').textContent;
    const then = await page.run(length);
    await page.until('a longer duration', (old) => document.querySelector('.trace-row .length').textContent !== old, then);
    await polls(page, 3);
    equal(page.asked('/traces.json'), before, 'requests for the list');
    holds(page.asked('/running.json') <= 3, `${page.asked('/running.json')} requests for what runs`);
    await parent('ends slow-export');
    await page.until('no running trace', () => ![...document.querySelectorAll('.trace-row .tag')].some((tag) => tag.textContent === 'Running'));
    await firstIs(page, 'slow-export');
  },

  async 'the panel follows a span until it has ended'({ open, parent }) {
    const page = await open('/traces');
    await appears(page, '.trace-row');
    await parent('starts import');
    await page.click('.trace-row', 'import');
    await page.until('the trace', () => location.pathname.startsWith('/trace/'));
    await appears(page, '.panel dt', 'Running for');
    await appears(page, '.panel', 'arrive with its end');
    const text = await page.run(() => document.querySelector('.panel dd').textContent);
    await page.until('a longer duration', (old) => document.querySelector('.panel dd').textContent !== old, text);
    await page.run(() => { window.kept = document.querySelector('.panel .close'); });
    await parent('ends import');
    await appears(page, '.panel .value', '/known-at-the-end');
    await page.until('the duration', () => document.querySelector('.panel dt').textContent === 'Duration');
    holds(await page.run(() => window.kept.isConnected), 'the panel was redrawn in place');
  },

  async 'a page that is hidden asks for nothing, and goes on when it is seen'({ open, parent }) {
    const page = await open('/traces');
    const other = await open('/traces');
    await appears(page, '.trace-row');
    await page.visible(false);
    const before = page.asked('/status.json');
    await parent('live while-hidden');
    await firstIs(other, 'while-hidden');
    await polls(other, 4);
    const during = page.asked('/status.json') - before;
    holds(during <= 1, `${during} requests while hidden`);
    holds(await first(page) !== 'while-hidden', 'nothing was drawn while hidden');
    await page.visible(true);
    await firstIs(page, 'while-hidden');
  },

  async 'a viewer that does not answer is given up, and found again'({ open }) {
    const page = await open('/traces', { hurry: true });
    await appears(page, '.trace-row');
    await page.intercept('*/status.json');
    await appears(page, '#live', 'Disconnected, retrying');
    await appears(page, '#said', 'Disconnected');
    holds(/within 5 seconds/.test(await page.run(() => document.getElementById('live').title)), 'the reason');
    await page.intercept(undefined);
    await appears(page, '#live', 'Live');
    await page.intercept('*/traces.json*');
    await page.click('.facet', 'Error');
    await page.until('the line of a request that runs', () => document.body.matches('.loading'));
    await page.until('the end of the request', () => !document.body.matches('.loading'));
    await page.intercept(undefined);
    await page.until('what was asked for', () => { const rows = [...document.querySelectorAll('.trace-row')]; return rows.length > 0 && rows.every((row) => row.matches('.failed')); });
  },

  async 'what was asked for while disconnected comes with the connection'({ open, parent }) {
    const page = await open('/traces?range=all');
    await appears(page, '.trace-row');
    await page.press(' ');
    await page.offline(true);
    await appears(page, '#live', 'Disconnected, retrying');
    await page.click('.facet', 'Error');
    equal(await address(page), '/traces?range=all&q=status:error', 'the address');
    await page.offline(false);
    await page.until('failing traces', () => { const rows = [...document.querySelectorAll('.trace-row')]; return rows.length > 0 && rows.every((row) => row.matches('.failed')); });
    await appears(page, '#live', 'Paused');
    await page.press(' ');
    await page.offline(true);
    await appears(page, '#live', 'Disconnected, retrying');
    await page.press('3');
    await appears(page, 'h1', 'The viewer does not answer');
    await page.offline(false);
    await appears(page, '.record');
    await parent('live after-all');
    page.errors.length = 0;
  },

  async 'what was typed in a view that is left changes no other'({ open }) {
    const page = await open('/traces');
    await appears(page, '.trace-row');
    await page.run(() => {
      const input = document.querySelector('.query input');
      input.value = 'left-behind';
      input.dispatchEvent(new Event('input', { bubbles: true }));
      document.querySelector('a[href="/findings"]').click();
      // After the pause that the field waits for.
      setTimeout(() => { window.later = true; }, 400);
    });
    await page.until('the findings', () => location.pathname === '/findings' && window.later && document.querySelector('.finding'));
    equal(await address(page), '/findings', 'the address');
  },
};
