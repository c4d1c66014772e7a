// The requests behind a list or a chart: one at a time, so that answers are shown in the order in which they were asked for.

import { Refused } from './api.js';
import { h } from './dom.js';
import { released } from './press.js';

/**
 * Returns what loads again. `fetch({ signal, quiet })` asks, `show(answer, quiet)` draws, and `refuse(error)` gets what the viewer
 * refused. What is asked for while a request runs follows it; the request of the reader does not wait for one that nobody asked for.
 */
export function loader({ signal, fetch, show, refuse }) {
  let wanted;
  let running;
  let request;
  let shown = false;
  let owed = false;

  async function run() {
    try {
      while (wanted && !signal.aborted) {
        const { quiet } = wanted;
        wanted = undefined;
        request = new AbortController();
        await once(quiet, request.signal);
        request = undefined;
      }
    } finally {
      running = undefined;
    }
  }

  async function once(quiet, mine) {
    let answer;
    try {
      answer = await fetch({ signal: mine, quiet });
      owed = false;
    } catch (error) {
      if (mine.aborted) return;
      owed = !(error instanceof Refused);
      if (!owed && refuse) refuse(error);
      else if (!quiet && !(owed && shown)) throw error;
      return;
    }
    await released();
    if (mine.aborted) return;
    shown = true;
    show(answer, quiet);
  }

  signal.addEventListener('abort', () => request?.abort(signal.reason));

  return {
    /**
     * Loads; resolves once what was asked for is shown. `quiet` is for updates that the reader has not asked for. The first load fails
     * if no answer comes; later ones are owed, because what is shown stays.
     */
    load(quiet = false) {
      if (!quiet) request?.abort();
      wanted = { quiet: quiet && (wanted?.quiet ?? true) };
      running ??= run();
      return running;
    },
    /** Returns true if the last request got no answer, so that what is shown is not what was asked for. */
    owes: () => owed,
  };
}

/** A button that adds older rows; it says why if it cannot. */
export function olderButton(text, load) {
  let busy = false;
  const click = async ({ currentTarget }) => {
    if (busy) return;
    busy = true;
    delete currentTarget.dataset.said;
    try {
      await load();
    } catch (error) {
      currentTarget.dataset.said = error.message;
    } finally {
      busy = false;
    }
  };
  return h('div', { class: 'more' }, h('button', { type: 'button', class: 'link', on: { click } }, text));
}
