import type { TranslationBundle } from '@jupyterlab/translation';

/**
 * Return a size as tables and widgets have it: 3 significant digits, 4 above 999, and a binary unit;
 * a dash if it is not known.
 */
export function size(bytes: number | null): string {
  if (bytes === null) {
    return '–';
  }
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  // What is rounded to 1024 is 1 of the next.
  while (Math.round(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 999.5 ? Number(value.toPrecision(3)) : value.toFixed(0)} ${units[unit]}`;
}

/** Return a share as per cent, or a dash if it is not known. */
export function percent(share: number | null): string {
  return share === null ? '–' : `${Math.round(share * 100)} %`;
}

/** Return a length of time in its two largest units, or a dash if it is not known. */
export function time(trans: TranslationBundle, seconds: number | null): string {
  if (seconds === null) {
    return '–';
  }
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) {
    return trans.__('%1 s', whole);
  }
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) {
    return trans.__('%1 min %2 s', minutes, whole % 60);
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) {
    return trans.__('%1 h %2 min', hours, minutes % 60);
  }
  return trans.__('%1 days', Math.floor(hours / 24));
}

/** Return a time as a clock here shows it, with the day if that is not today. */
export function clock(seconds: number): string {
  const moment = new Date(seconds * 1000);
  const isToday = moment.toDateString() === new Date().toDateString();
  return isToday
    ? moment.toLocaleTimeString(undefined, { timeStyle: 'short' })
    : moment.toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'short' });
}
