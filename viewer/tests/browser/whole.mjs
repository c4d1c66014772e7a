// The page as a whole: the empty store, contrast, widths, names for screen readers, a lost connection.

import { appears, CHECKOUT, equal, holds, texts } from './check.mjs';

const VIEWS = ['/traces?range=all', `/trace/${CHECKOUT}`, '/metrics?i=http.server.request.duration', '/logs?range=all', '/map?range=all', '/findings'];

export const start = {
  async 'an empty store says where to send, and fills by itself'({ open, parent }) {
    const page = await open('/traces');
    await appears(page, 'h1', 'Waiting for the first span');
    holds((await texts(page, '.copyable code')).length >= 2, 'lines to copy');
    await parent('fill');
    await appears(page, '.trace-row', 'POST /checkout');
  },
};

export const cases = {
  async 'text has a contrast of 4.5 and marks of 3, light and dark'({ open }) {
    for (const dark of [false, true]) {
      const page = await open('/traces', { dark });
      const failures = await page.run(() => {
        const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
        const style = getComputedStyle(document.documentElement);
        const light = (token) => {
          context.fillStyle = '#010203';
          context.fillStyle = style.getPropertyValue(`--${token}`).trim();
          context.fillRect(0, 0, 1, 1);
          const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => { const share = value / 255; return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4; });
          return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        };
        const ratio = (a, b) => { const [low, high] = [light(a), light(b)].sort((x, y) => x - y); return (high + 0.05) / (low + 0.05); };
        const text = ['fg', 'fg2', 'accent', 'err', 'warn'].flatMap((ink) => ['bg', 'bg2', 'sel'].map((ground) => [ink, ground, 4.5]));
        text.push(['fg', 'bg3', 4.5], ['err', 'errbg', 4.5], ['fg', 'errbg', 4.5], ['fg2', 'errbg', 4.5], ['warn', 'warnbg', 4.5], ['bg', 'accent', 4.5]);
        const marks = ['accent', 'err', 'warnf', 'line2', 'fg2', ...Array.from({ length: 10 }, (_, hue) => `hue${hue}`)].map((ink) => [ink, 'bg', 3]);
        return [...text, ...marks].map(([ink, ground, least]) => [ink, ground, least, ratio(ink, ground)]).filter(([, , least, is]) => !(is >= least)).map(([ink, ground, least, is]) => `${ink} on ${ground}: ${is.toFixed(2)} < ${least}`);
      });
      equal(failures, [], dark ? 'dark' : 'light');
    }
  },

  async 'every view fits 1280 and 400 pixels'({ open }) {
    for (const width of [1280, 400]) {
      for (const path of VIEWS) {
        const page = await open(path, { width });
        const wide = await page.run(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight, innerHeight]);
        holds(wide[0] <= width, `${path} is ${wide[0]} px wide at ${width}`);
        holds(wide[1] <= wide[2], `${path} scrolls as a whole at ${width}`);
      }
    }
  },

  async 'every control has a name, and targets are large enough on a narrow screen'({ open }) {
    for (const path of VIEWS) {
      const page = await open(path, { width: 400 });
      const bad = await page.run(() => [...document.querySelectorAll('button, a[href], input, select, [role=button]')].filter((one) => one.checkVisibility()).flatMap((one) => {
        const name = (one.getAttribute('aria-label') ?? one.textContent).trim();
        const { width, height } = one.getBoundingClientRect();
        const inText = one.matches('svg a, .link, .links a, p a, .origin button, .moment, .acts *, .brand, .record a, button.twist, .mono');
        return [!name && `no name: ${one.outerHTML.slice(0, 120)}`, !inText && Math.min(width, height) < 24 && width > 0 && `${Math.round(width)}×${Math.round(height)}: ${one.className} ${name.slice(0, 40)}`].filter(Boolean);
      }));
      equal(bad, [], path);
    }
  },

  async 'all views open by keys, and the sheet of keys shows them'({ open }) {
    const page = await open('/traces');
    for (const [key, path] of [['2', '/metrics'], ['3', '/logs'], ['4', '/map'], ['5', '/findings'], ['1', '/traces']]) {
      await page.press(key);
      await page.until(path, (wanted) => location.pathname === wanted && document.querySelector('nav a[aria-current]').getAttribute('href') === wanted, path);
    }
    await page.press('?');
    holds(await page.run(() => document.getElementById('keys').open), 'the sheet is open');
    await page.press('Escape');
    holds(await page.run(() => !document.getElementById('keys').open), 'the sheet is closed');
    await appears(page, '.query input');
    await page.press('/');
    await page.type('12y');
    equal(await page.run(() => [document.querySelector('.query input').value, location.pathname]), ['12y', '/traces'], 'keys do not act while typing');
  },

  async 'the focus is visible wherever the keyboard leads'({ open }) {
    const page = await open('/traces?range=all');
    await appears(page, '.trace-row');
    for (let step = 0; step < 12; step += 1) {
      await page.press('Tab');
      const outline = await page.run(() => { const style = getComputedStyle(document.activeElement); return [document.activeElement.tagName, style.outlineStyle, parseFloat(style.outlineWidth)]; });
      holds(outline[0] === 'BODY' || (outline[1] !== 'none' && outline[2] >= 2), `no outline on ${outline}`);
    }
    await page.press('j', 'j');
    holds(await page.run(() => document.activeElement.matches('.trace-row')), 'j moves the real focus');
  },

  async 'a link with relative times is copied with absolute ones'({ open }) {
    const page = await open('/traces?range=5m');
    await page.run(() => { window.written = ''; Object.defineProperty(navigator, 'clipboard', { value: { writeText: (text) => { window.written = text; return Promise.resolve(); } } }); });
    await page.press('y');
    await page.until('the link', () => /\/traces\?from=\d{16}&to=\d{16}$/.test(window.written));
  },

  async 'a lost connection is said, and the data stays'({ open }) {
    const page = await open('/traces?range=all');
    await appears(page, '.trace-row');
    await page.offline(true);
    await appears(page, '#live', 'Disconnected, retrying');
    holds((await texts(page, '.trace-row')).length > 0, 'the rows stay');
    await page.offline(false);
    await appears(page, '#live', 'Live');
    page.errors.length = 0;
  },
};
