// Numbers, times and foreign text as the reader sees them.

const UNITS = [['ns', 1], ['µs', 1e3], ['ms', 1e6], ['s', 1e9]];

/** Formats nanoseconds with three significant digits: `842 ms`, `14.0 ms`, `1.04 s`. */
export function duration(nanoseconds) {
  if (!Number.isFinite(nanoseconds)) return '–';
  const sign = nanoseconds < 0 ? '-' : '';
  const amount = Math.abs(nanoseconds);
  if (amount === 0) return '0';
  if (amount >= 999.5e9) return sign + long(amount / 1e9);
  for (const [unit, size] of UNITS) {
    const number = amount / size;
    if (number < 999.5 || unit === 's') return `${sign}${unit === 'ns' ? Math.round(number) : digits(number)} ${unit}`;
  }
  return '–';
}

function long(seconds) {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${count(hours)} h ${minutes} min` : `${minutes} min ${Math.floor(seconds) % 60} s`;
}

function digits(number) {
  if (number >= 99.95) return number.toFixed(0);
  return number >= 9.995 ? number.toFixed(1) : number.toFixed(2);
}

/** Formats a duration for an axis, without useless zeros: `200 ms`, `0.5 s`. */
export function tick(nanoseconds) {
  return duration(nanoseconds).replace(/(\.\d*?)0+ /, '$1 ').replace('. ', ' ');
}

const pad = (number, length = 2) => String(number).padStart(length, '0');

/** Formats microseconds since 1970 as the local time of day. */
export function clock(microseconds, milliseconds = false) {
  const date = new Date(microseconds / 1000);
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return milliseconds ? `${text}.${pad(date.getMilliseconds(), 3)}` : text;
}

/** Formats microseconds since 1970 as hours and minutes. */
export const minute = (microseconds) => clock(microseconds).slice(0, 5);

/** Formats microseconds since 1970 in full, for titles. */
export const date = (microseconds) => new Date(microseconds / 1000).toISOString();

/** Formats a whole number with separators. */
export const count = (number) => Math.round(number).toLocaleString('en');

/** Formats a count and its noun: `1 trace`, `3 traces`. */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** Formats any number with three significant digits. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const amount = Math.abs(value);
  if (amount >= 1e12) return `${digits(value / 1e12)} T`;
  if (amount >= 1e9) return `${digits(value / 1e9)} G`;
  if (amount >= 1e6) return `${digits(value / 1e6)} M`;
  if (amount >= 1000) return count(value);
  if (Number.isInteger(value)) return String(value);
  return amount >= 0.01 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}

/** Formats a rate a second. */
export function rate(value) {
  if (!Number.isFinite(value)) return '–';
  return `${value >= 9.95 ? count(value) : value >= 0.095 || value === 0 ? Number(value.toFixed(1)) : Number(value.toPrecision(1))}/s`;
}

/** Formats a share as a percentage. */
export function percent(share) {
  if (!share) return '0%';
  const value = share * 100;
  if (value < 0.1) return '<0.1%';
  return `${value >= 9.95 ? Math.round(value) : Number(value.toFixed(1))}%`;
}

/** Formats bytes: `41.2 MiB`. */
export function bytes(value) {
  if (value < 1024) return `${value} B`;
  const power = Math.min(4, Math.floor(Math.log2(value) / 10));
  return `${Number((value / 1024 ** power).toPrecision(3))} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
}

/** Formats a value of an instrument by its unit. */
export function measured(value, unit) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (unit === 's') return duration(value * 1e9);
  if (unit === 'ms') return duration(value * 1e6);
  if (unit === 'us') return duration(value * 1e3);
  if (unit === 'ns') return duration(value);
  if (unit === 'By') return bytes(Math.round(value));
  return number(value);
}

/** Shortens an id to its beginning and its end. */
export const short = (id) => (id.length > 12 ? `${id.slice(0, 4)}…${id.slice(-4)}` : id);

const LONGEST = 20000;
// Control characters and those that reorder a line would let telemetry disguise what it says.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]/g;

/** Makes hidden characters of foreign text visible and bounds its length. */
export function visible(text) {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${count(text.length)} characters)` : text;
  return cut.replace(HIDDEN, (character) => {
    const code = character.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : code === 127 ? '\u2421' : `⟨${code.toString(16).padStart(4, '0')}⟩`;
  });
}

/** Names the severity of a log record and its mark. */
export function severity(number) {
  if (number >= 21) return { text: 'FATAL', mark: 'error', tone: 'error' };
  if (number >= 17) return { text: 'ERROR', mark: 'error', tone: 'error' };
  if (number >= 13) return { text: 'WARN', mark: 'warning', tone: 'warning' };
  if (number >= 9) return { text: 'INFO', mark: 'info', tone: '' };
  if (number >= 5) return { text: 'DEBUG', mark: 'debug', tone: 'soft' };
  return { text: number >= 1 ? 'TRACE' : '–', mark: 'debug', tone: 'soft' };
}
