// The query field with completion.

import { add, fill, h } from './dom.js';
import { get } from './api.js';
import { patch } from './patch.js';
import { path } from './url.js';

const TYPING_PAUSE = 180;
let fields = 0;

/**
 * Builds a query field. Calls `changed(text)` after a pause in typing, until `signal` aborts. `complete` names what is searched; it is
 * false for fields that take plain words.
 * Returns the element and `refuse(message)`, which shows why a query is not valid.
 */
export function searchField({ value, example, changed, signal, complete = 'traces' }) {
  const id = `offers-${fields += 1}`;
  const list = h('ul', { class: 'offers', id, role: 'listbox', 'aria-label': 'Completions', hidden: true });
  const reason = h('div', { class: 'note bad', role: 'alert', hidden: true });
  const input = h('input', {
    type: 'search', value, placeholder: example, spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off', 'aria-label': 'Search',
    ...(complete ? { role: 'combobox', 'aria-expanded': 'false', 'aria-controls': id, 'aria-autocomplete': 'list' } : {}),
  });
  let items = [];
  let chosen = -1;
  let timer;
  let asked;

  const close = () => {
    asked?.abort();
    items = [];
    chosen = -1;
    draw();
  };
  const draw = () => {
    patch(list, items.map((item, index) => h('li', {
      key: item.text, id: `${id}-${index}`, role: 'option', 'aria-selected': index === chosen,
      on: { mousedown: (event) => { event.preventDefault(); accept(item.text); } },
    }, h('span', null, item.text), h('span', null, item.hint))));
    list.hidden = !items.length;
    input.setAttribute('aria-expanded', String(items.length > 0));
    if (chosen >= 0) {
      input.setAttribute('aria-activedescendant', `${id}-${chosen}`);
      list.children[chosen].scrollIntoView({ block: 'nearest' });
    } else {
      input.removeAttribute('aria-activedescendant');
    }
  };
  const accept = (text) => {
    const { start, end } = wordAt(input.value, input.selectionStart);
    // A completed field such as `service:` expects its value next, anything else a new word.
    const after = text.endsWith(':') || text.endsWith('=') || input.value[end] === ' ' ? '' : ' ';
    input.value = input.value.slice(0, start) + text + after + input.value.slice(end);
    const caret = start + text.length + after.length;
    input.setSelectionRange(caret, caret);
    close();
    tell();
    if (!after) offer();
  };
  const offer = async () => {
    if (!complete) return;
    asked?.abort();
    const mine = new AbortController();
    asked = mine;
    const at = [...input.value.slice(0, input.selectionStart)].length;
    try {
      const answer = await get(path('/complete.json', { q: input.value || ' ', at, for: complete }), { signal: mine.signal, quiet: true });
      if (mine.signal.aborted || document.activeElement !== input) return;
      // The reader chose a text, not a place in a list that changes while it is used.
      const before = items[chosen]?.text;
      items = distinct(answer.items).slice(0, 20);
      chosen = items.findIndex(({ text }) => text === before);
      draw();
    } catch {
      // Completion is a convenience: without it the field works the same.
      if (!mine.signal.aborted) close();
    }
  };
  const now = () => {
    clearTimeout(timer);
    changed(input.value.trim());
  };
  const tell = () => {
    clearTimeout(timer);
    timer = setTimeout(now, TYPING_PAUSE);
  };
  // What was typed in a view that is gone must not change the address of the next one.
  signal.addEventListener('abort', () => { clearTimeout(timer); asked?.abort(); });

  input.addEventListener('input', () => { tell(); offer(); });
  input.addEventListener('focus', () => { if (input.value) offer(); });
  input.addEventListener('blur', close);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      if (items.length) close();
      else input.blur();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (!items.length) { offer(); return; }
      const turn = event.key === 'ArrowDown' ? 1 : -1;
      chosen = (chosen + turn + items.length + (chosen < 0 && turn < 0 ? 1 : 0)) % items.length;
      draw();
    } else if ((event.key === 'Enter' || event.key === 'Tab') && chosen >= 0) {
      event.preventDefault();
      accept(items[chosen].text);
    } else if (event.key === 'Enter') {
      close();
      now();
    }
  });

  const field = h('div', { class: 'query' }, input, h('kbd', { class: 'wide', 'aria-hidden': 'true' }, '/'));
  if (complete) add(field, [list]);
  return {
    field,
    reason,
    /** Shows a query, unless the field says the same already: blanks that were typed stay, and so does the caret. */
    set(text) { if (input.value.trim() !== text) input.value = text; },
    refuse(message) {
      input.setAttribute('aria-invalid', String(Boolean(message)));
      reason.hidden = !message;
      fill(reason, message && [h('b', { class: 'error' }, 'Not a query'), h('span', null, message)]);
    },
  };
}

const distinct = (items) => [...new Map(items.map((item) => [item.text, item])).values()];

/** Returns the bounds of the word around a position; a quoted part belongs to its word. */
export function wordAt(text, position) {
  let start = 0;
  let quoted = false;
  for (let at = 0; at < position; at += 1) {
    if (text[at] === '"') quoted = !quoted;
    else if (text[at] === ' ' && !quoted) start = at + 1;
  }
  let end = position;
  while (end < text.length && (quoted || text[end] !== ' ')) {
    if (text[end] === '"') quoted = !quoted;
    end += 1;
  }
  return { start, end };
}

/** Splits a query into its words; quoted parts stay whole. */
export function words(query) {
  return query.match(/(?:"(?:[^"\\]|\\.)*"?|[^\s"])+/g) ?? [];
}

/** Adds a word to a query, or removes it if it is there. */
export function toggleWord(query, word) {
  const all = words(query);
  const at = all.indexOf(word);
  if (at < 0) all.push(word);
  else all.splice(at, 1);
  return all.join(' ');
}

/** Writes a value for the query language, in quotes where it needs them. */
export function quoted(value) {
  const text = String(value);
  return /^[^\s"\\()]+$/.test(text) ? text : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
