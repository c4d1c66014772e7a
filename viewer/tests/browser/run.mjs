// Runs every case against a viewer. `node run.mjs CHROMIUM ADDRESS`; the parent fills the store when a line asks for it.

import { createInterface } from 'node:readline';
import { writeFileSync } from 'node:fs';
import { launch, within } from './chrome.mjs';
import * as live from './live.mjs';
import * as parts from './parts.mjs';
import * as reading from './reading.mjs';
import * as trace from './trace.mjs';
import * as whole from './whole.mjs';

const [program, base, only] = process.argv.slice(2);
/** Seconds are enough for every case, also on a busy machine. */
const CASE_DEADLINE = 120_000;
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the parent for something, and waits until it is done. */
async function parent(request) {
  process.stdout.write(`${request}\n`);
  const { value } = await within(CASE_DEADLINE, `the parent's answer to ${request}`, answers.next());
  if (value !== 'done') throw new Error(`the parent said ${value} to ${request}`);
}

const browser = await launch(program);
let failed = 0;
// `whole.start` fills the store, so it is the first.
for (const [name, test] of [...Object.entries(whole.start), ...Object.entries(reading.cases), ...Object.entries(trace.cases), ...Object.entries(live.cases), ...Object.entries(parts.cases), ...Object.entries(whole.cases), ...Object.entries(parts.end)]) {
  if (only && !name.includes(only) && !(name in whole.start)) continue;
  const pages = [];
  const open = async (path, options) => {
    const page = await browser.page(options);
    pages.push(page);
    await page.goto(base + path);
    return page;
  };
  const began = Date.now();
  try {
    await within(CASE_DEADLINE, 'the case', test({ open, parent, base }));
    for (const page of pages) {
      if (page.errors.length) throw new Error(`the page reported: ${page.errors.join('; ')}`);
      const foreign = page.requests.filter((url) => !url.startsWith(base) && url !== 'about:blank');
      if (foreign.length) throw new Error(`requests to other hosts: ${foreign.join(', ')}`);
    }
    process.stderr.write(`ok      ${name} (${Date.now() - began} ms)\n`);
  } catch (error) {
    failed += 1;
    process.stderr.write(`FAILED  ${name}\n${error.stack}\n`);
    if (process.env.TELEMARK_TEST_PICTURES) {
      for (const [at, page] of pages.entries()) writeFileSync(`${process.env.TELEMARK_TEST_PICTURES}/${name.replaceAll(' ', '_')}-${at}.png`, await page.screenshot());
    }
  }
  for (const page of pages) await page.close();
}
await browser.close();
process.exit(failed ? 1 : 0);
