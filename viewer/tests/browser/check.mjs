// The data that the parent puts into the store, and small assertions.

/** The failing checkout, whose spans the parent builds. */
export const CHECKOUT = 'a41c00000000000000000000000090be';
export const LARGE = 'b0000000000000000000000000000001';
export const HOSTILE = 'c0000000000000000000000000000001';

export function equal(actual, expected, what) {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) throw new Error(`${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
}

export function holds(condition, what) {
  if (!condition) throw new Error(what);
}

/** Texts of all elements that match. */
export const texts = (page, selector) => page.run((wanted) => [...document.querySelectorAll(wanted)].map((element) => element.textContent), selector);

/** Waits until the view has an element that matches. */
export const appears = (page, selector, text) => page.until(`${selector} ${text ?? ''}`, (wanted, words) => [...document.querySelectorAll(wanted)].some((one) => words === null || one.textContent.includes(words)), selector, text ?? null);

/** The path and the parameters of the page. */
export const address = (page) => page.run(() => location.pathname + location.search);

/** The text of the element that has the focus. */
export const focus = (page) => page.run(() => document.activeElement?.textContent ?? '');

/** Waits until the page has received the state of the store a number of times. */
export async function polls(page, times) {
  const count = () => performance.getEntriesByName(`${location.origin}/status.json`).length;
  const before = await page.run(count);
  await page.until(`${times} states of the store`, (least) => performance.getEntriesByName(`${location.origin}/status.json`).length >= least, before + times);
}
