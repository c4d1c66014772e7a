// Clicks that are under way: what moves under the pointer between press and release would swallow them, so redraws wait.

// A release may never be told, for example after a drag out of the window.
const LONGEST = 10_000;

let pressed = false;
let timer;
let waiting = [];

function release() {
  clearTimeout(timer);
  pressed = false;
  const resolve = waiting;
  waiting = [];
  for (const each of resolve) each();
}

addEventListener('pointerdown', () => {
  pressed = true;
  clearTimeout(timer);
  timer = setTimeout(release, LONGEST);
}, true);
for (const event of ['pointerup', 'pointercancel']) {
  // The click follows the release within the same task.
  addEventListener(event, () => setTimeout(release), true);
}

addEventListener('pointermove', ({ buttons }) => { if (pressed && !buttons) release(); }, { capture: true, passive: true });

/** Resolves as soon as no button is pressed. */
export const released = () => (pressed ? new Promise((resolve) => { waiting.push(resolve); }) : Promise.resolve());
