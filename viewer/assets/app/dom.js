// Elements. Text reaches the page only as text nodes, so telemetry can never become markup.

import { visible } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';

/** Creates an HTML element: `h('a', {class: 'link', href, on: {click}}, 'text', child)`. */
export function h(tag, properties, ...children) {
  return finish(document.createElement(tag), properties, children);
}

/** Creates an SVG element. */
export function s(tag, properties, ...children) {
  return finish(document.createElementNS(SVG, tag), properties, children);
}

function finish(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === 'set') {
      // The content security policy forbids style attributes; the DOM is allowed to set properties.
      for (const [property, wanted] of Object.entries(value)) element.style.setProperty(property, wanted);
    } else if (name.startsWith('aria-')) {
      element.setAttribute(name, visible(String(value)));
    } else if (value !== false) {
      element.setAttribute(name, value === true ? '' : name === 'title' ? visible(String(value)) : String(value));
    }
  }
  add(element, children);
  return element;
}

/** Appends children, however nested; leaves out `null`, `undefined` and `false`. */
export function add(element, children) {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : visible(String(child)));
  }
}

/** Replaces all children. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

const hues = new Map();

/** Remembers the hue of each service, as the store assigned it. */
export function learnHues(services) {
  for (const { name, hue } of services ?? []) if (hue !== undefined) hues.set(name, hue);
}

/** Returns the class that carries a service's hue. */
export function hueClass(service, hue = hues.get(service)) {
  return hue === undefined || hue === null ? '' : `hue${hue % 10}`;
}

/** The coloured square that stands before a service's name. */
export function square(service, hue) {
  return h('i', { class: `square ${hueClass(service, hue)}`, 'aria-hidden': 'true' });
}

const SHAPES = {
  error: () => s('path', { d: 'M4.5 2 9 7 4.5 12 0 7Z', fill: 'var(--err)' }),
  warning: () => s('path', { d: 'M4.5 3 9 11H0Z', fill: 'var(--warnf)' }),
  info: () => s('circle', { cx: 4.5, cy: 7, r: 3, fill: 'var(--accent)' }),
  debug: () => s('circle', { cx: 4.5, cy: 7, r: 2.5, fill: 'var(--bg)', stroke: 'var(--fg2)' }),
  event: () => s('path', { d: 'M4.5 1V13', stroke: 'var(--fg)', 'stroke-width': 2 }),
};

/** A status mark: its shape says what it is, its colour repeats that. */
export function mark(kind) {
  return s('svg', { class: 'mark', width: 9, height: 14, viewBox: '0 0 9 14', 'aria-hidden': 'true' }, SHAPES[kind]());
}

/** A word in a box: `bad` for errors, `odd` for warnings, else grey. */
export function tag(text, tone, title) {
  return h('span', { class: `tag ${tone ?? ''}`, title }, text);
}

/** A key and what it does. */
export function hint(keys, text) {
  return h('span', null, keys.split(' ').map((key) => [h('kbd', null, key), ' ']), text);
}

/** Buttons of which one is pressed. */
export function segment(label, choices, chosen, choose) {
  const group = h('div', { class: 'segment', role: 'group', 'aria-label': label });
  const draw = (now) => fill(group, choices.map(([value, text]) => h('button', {
    class: 'cut',
    type: 'button',
    'aria-pressed': value === now,
    on: { click: () => { draw(value); choose(value); } },
  }, text)));
  draw(chosen);
  return group;
}

/** Says a sentence to screen readers. */
export function say(text) {
  document.getElementById('said').textContent = text;
}

/** Copies text and says so; tells the reader if the browser refuses. */
export async function copy(text, button) {
  const before = button?.textContent;
  let result = 'Copied';
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    result = 'Not allowed';
  }
  say(result);
  if (!button) return;
  button.textContent = result;
  setTimeout(() => { button.textContent = before; }, 1200);
}

/** Returns true on a narrow screen. */
export const narrow = () => innerWidth < 720;
