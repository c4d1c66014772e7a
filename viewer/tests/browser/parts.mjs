// Parts of the page: requests in order, the chart's brush, completion, Copy, bounds, narrow metrics.

import { address, appears, CHECKOUT, equal, holds, polls } from './check.mjs';

export const cases = {
  async 'requests of a view follow each other, and none is lost'({ open }) {
    const page = await open('/findings');
    const events = await page.run(async () => {
      const { loader } = await import('/assets/app/load.js');
      const { Refused } = await import('/assets/app/api.js');
      const turn = () => new Promise((resolve) => { setTimeout(resolve); });
      const scenario = async (play) => {
        const events = [];
        const requests = [];
        const stop = new AbortController();
        const loads = loader({
          signal: stop.signal,
          fetch: ({ signal, quiet }) => new Promise((resolve, reject) => {
            events.push(quiet ? 'quiet' : 'loud');
            requests.push({ resolve, reject });
            signal.addEventListener('abort', () => { events.push('abort'); reject(signal.reason); });
          }),
          show: (answer) => events.push(`show ${answer}`),
          refuse: (error) => events.push(`refuse ${error.message}`),
        });
        const answer = async (value) => { requests.pop().resolve(value); await turn(); };
        const fail = async (error) => { requests.pop().reject(error); await turn(); };
        await play({ loads, answer, fail, stop, log: (text) => events.push(text) });
        return events.join(', ');
      };
      return {
        'an update follows the one that runs': await scenario(async ({ loads, answer }) => {
          loads.load(true); loads.load(true); loads.load(true);
          await answer(1); await answer(2);
        }),
        'the reader does not wait for an update, and stays loud': await scenario(async ({ loads, answer }) => {
          loads.load(true);
          const asked = loads.load(); loads.load(true);
          await turn(); await answer('asked'); await asked;
        }),
        'the last wish wins': await scenario(async ({ loads, answer }) => {
          loads.load(); await turn(); loads.load(); await turn(); await answer('last');
        }),
        'what got no answer is owed': await scenario(async ({ loads, answer, fail, log }) => {
          loads.load(true); await answer(1); loads.load(); await fail(new Error('no answer'));
          log(`owes ${loads.owes()}`); loads.load(true); await answer(2); log(`owes ${loads.owes()}`);
        }),
        'what was refused is not owed': await scenario(async ({ loads, fail, log }) => {
          loads.load(); await fail(new Refused(400, { error: 'bad' })); log(`owes ${loads.owes()}`);
        }),
        'the first load says that it failed': await scenario(async ({ loads, fail, log }) => {
          const first = loads.load().catch((error) => log(`failed ${error.message}`)); await fail(new Error('no answer')); await first;
        }),
        'a view that is left asks and shows nothing': await scenario(async ({ loads, stop }) => {
          loads.load(); loads.load(true); stop.abort(); await turn();
        }),
      };
    });
    equal(events, {
      'an update follows the one that runs': 'quiet, show 1, quiet, show 2',
      'the reader does not wait for an update, and stays loud': 'quiet, abort, loud, show asked',
      'the last wish wins': 'loud, abort, loud, show last',
      'what got no answer is owed': 'quiet, show 1, loud, owes true, quiet, show 2, owes false',
      'what was refused is not owed': 'loud, refuse bad, owes false',
      'the first load says that it failed': 'loud, failed no answer',
      'a view that is left asks and shows nothing': 'loud, abort',
    }, 'the scenarios');
  },

  async 'elements are reused by key and by place'({ open }) {
    const page = await open('/findings');
    const result = await page.run(async () => {
      const { h } = await import('/assets/app/dom.js');
      const { patch } = await import('/assets/app/patch.js');
      const box = h('div');
      document.body.append(box);
      const clicks = [];
      const row = (key, text = key) => h('button', { key, type: 'button', title: text, on: { click: () => clicks.push(text) } }, text);
      const text = () => box.textContent;
      patch(box, row('a'), row('b'), row('c'));
      const [a, b, c] = box.children;
      b.focus();
      const out = [];
      patch(box, row('new'), row('a'), row('b', 'B'), row('c'));
      out.push([text(), box.children[2] === b, document.activeElement === b, b.title]);
      b.click();
      patch(box, row('c'), row('b'), row('a'));
      out.push([text(), [...box.children].every((one, at) => one === [c, b, a][at]), document.activeElement === b]);
      patch(box, row('c'), row('c', 'twice'), 'text', null, row('a'));
      out.push([text(), box.firstChild === c, box.lastChild === a]);
      const own = h('i', { whole: true }, 'own');
      patch(box, h('i', null, 'x'), own, h('i', null, 'y'));
      patch(box, own, h('i', { class: 'z' }, 'z'));
      out.push([text(), box.firstChild === own, box.lastChild.className]);
      patch(box, h('p', { set: { color: 'red' }, hidden: true }, 'p'));
      patch(box, h('p', { class: 'q' }, 'q'));
      out.push([box.textContent, box.firstChild.className, box.firstChild.hidden, box.firstChild.style.color]);
      patch(box, h('p'), h('span', null, 'tag'), h('span', null, 'space'), h('button', null, 'close'));
      const close = box.lastChild;
      patch(box, h('p'), h('span', null, 'space'), h('button', null, 'close'));
      out.push([text(), box.lastChild === close]);
      patch(box, h('p'), h('b', null, 'tag'), h('span', null, 'space'), h('button', null, 'close'));
      out.push([text(), box.lastChild === close]);
      box.remove();
      return { out, clicks };
    });
    equal(result, {
      out: [
        ['newaBc', true, true, 'B'], ['cba', true, true], ['ctwicetexta', true, true], ['ownz', true, 'z'], ['q', 'q', false, ''], ['spaceclose', true], ['tagspaceclose', true],
      ],
      clicks: ['B'],
    }, 'the box');
  },

  async 'b and Enter select a range although a row has the focus'({ open, parent }) {
    const page = await open('/traces');
    await appears(page, '.trace-row');
    await page.press('j', 'b');
    const range = () => page.run(() => { const brush = document.querySelector('.brush'); return brush.getAttribute('visibility') === 'visible' && Number(brush.getAttribute('width')); });
    const wide = await range();
    holds(wide > 100, 'b shows a range');
    await appears(page, '#said', 'Enter selects');
    await parent('live under-the-brush');
    await polls(page, 2);
    holds(await range(), 'the range stays while traces arrive');
    await page.resize(1000, 800);
    await page.until('a narrower chart', () => document.querySelector('.scatter').clientWidth < 900 || document.querySelector('.scatter').getAttribute('width') < 900);
    const narrower = await range();
    holds(narrower > 50 && narrower < wide, 'the range stays as the chart gets narrower');
    await page.press('ArrowLeft', 'Enter');
    await page.until('absolute times', () => /from=\d{16}&to=\d{16}/.test(location.search));
    equal(await page.run(() => location.pathname), '/traces', 'the row with the focus was not opened');
  },

  async 'a drag that ends elsewhere leaves nothing behind'({ open, parent }) {
    const page = await open('/traces');
    const { x, y } = await page.centre('.scatter');
    await page.mouse('mouseMoved', { x, y });
    await page.mouse('mousePressed', { x, y });
    await page.run(() => document.querySelector('.scatter').dispatchEvent(new PointerEvent('pointerleave')));
    await page.mouse('mouseReleased', { x: 5, y: 5 });
    await parent('live after-the-drag');
    await page.until('live updates go on', () => document.querySelector('.trace-row .name .cut')?.textContent === 'after-the-drag');
    equal(await page.run(() => document.querySelector('.brush').getAttribute('visibility')), 'hidden', 'the range');
  },

  async 'a completion stays chosen while the list changes'({ open }) {
    const page = await open('/traces?range=all');
    await page.press('/');
    await page.type('se');
    await appears(page, '.offers li', 'service:');
    const chosen = () => page.run(() => document.querySelector('.offers [aria-selected=true]')?.firstChild.textContent);
    for (let step = 0; step < 20 && await chosen() !== 'service:'; step += 1) await page.press('ArrowDown');
    const offers = await page.run(() => document.querySelectorAll('.offers li').length);
    await page.type('rvi');
    await page.until('fewer offers', (before) => document.querySelectorAll('.offers li').length < before, offers);
    equal(await chosen(), 'service:', 'the chosen completion');
    await page.press('Enter');
    await page.until('the word', () => document.querySelector('.query input').value === 'service:');
  },

  async 'Copy says what happened, and is Copy again'({ open }) {
    const page = await open(`/trace/${CHECKOUT}`, { hurry: true });
    await appears(page, '.pair', 'db.collection.name');
    const button = '[aria-label="Copy db.collection.name"]';
    await page.click(button);
    await page.until('Copied', (one) => document.querySelector(one).dataset.said === 'Copied', button);
    await page.click(button);
    equal(await page.run((one) => document.querySelector(one).textContent, button), 'Copy', 'the text stays');
    await page.until('nothing said', (one) => document.querySelector(one).dataset.said === undefined, button);
    equal(await page.run((one) => document.querySelector(one).textContent, button), 'Copy', 'the text');
  },

  async 'a map of too many edges draws the most important ones'({ open }) {
    const page = await open('/findings');
    const nodes = Array.from({ length: 50 }, (_, id) => ({ id: String(id), name: `s${id}`, kind: 'service', hue: id, rate: 1, errors: 0, p95: 1e6 }));
    const edges = Array.from({ length: 800 }, (_, at) => ({ from: String(at % 50), to: String((at * 7 + Math.floor(at / 50) + 1) % 50), rate: 1 + (at % 9), errors: at === 799 ? 1 : 0, p95: 1e6 })).filter(({ from, to }) => from !== to);
    await page.intercept('*/map.json*', () => ({ nodes, edges }));
    await page.press('4');
    await appears(page, '.map .note', '500 of');
    equal(await page.run(() => [document.querySelectorAll('.map .edge').length, document.querySelectorAll('.map .edge.failing').length]), [500, 1], 'the edges');
    equal(await page.run(() => document.querySelectorAll('.edges tbody tr').length), edges.length, 'the table');
    await page.intercept(undefined);
  },

  async 'hues are remembered for a bounded number of services'({ open }) {
    const page = await open('/findings');
    const [first, last] = await page.run(async () => {
      const { hueClass, learnHues } = await import('/assets/app/dom.js');
      for (let at = 0; at < 5000; at += 100) learnHues(Array.from({ length: 100 }, (_, one) => ({ name: `many ${at + one}`, hue: one })));
      return [hueClass('many 0'), hueClass('many 4999')];
    });
    equal([first, last], ['', 'hue9'], 'the hues of the first and the last service');
  },

  async 'instruments are searched, also on a narrow screen'({ open }) {
    for (const width of [1280, 400]) {
      const page = await open('/metrics', { width });
      await appears(page, '.instrument-name');
      await page.press('/');
      await page.type('memory ');
      await appears(page, '.instrument-name', 'process.memory.usage');
      equal(await page.run(() => document.querySelector('select').selectedOptions[0].textContent), 'process.memory.usage', 'the list on a narrow screen');
      await page.type('of nobody');
      await appears(page, '.note', 'No instrument matches');
      holds(!(await page.run(() => document.body.innerText)).includes('No metric has arrived'), 'metrics have arrived');
      await page.run(() => [...document.querySelectorAll('.note button')].find((button) => button.checkVisibility()).click());
      await appears(page, '.instrument-name');
      equal(await address(page), '/metrics', 'the address');
    }
  },
};

/** Its records displace those of other cases from the first page of the list. */
export const end = {
  async 'older records stay within the range of the list'({ open, parent }) {
    await parent('records 700');
    const page = await open('/logs?q=service:archive&range=15m');
    await page.click('.more button', 'Show older records');
    await page.until('all records', () => document.querySelectorAll('.record').length === 700);
    const older = page.requests.filter((url) => url.includes('/records.json') && url.includes('before='));
    holds(older.length === 1 && /[?&]from=\d+/.test(older[0]), `the request for older records has the range: ${older}`);
    holds(await page.run(() => !document.querySelector('.more')), 'there are no more');
  },
};
