import type { IOutput } from '@jupyterlab/nbformat';

import type { IShown } from './rows';

/** Return what a run has shown by now: what it had, and what is new of it. */
export function grown(had: readonly IOutput[], news: IShown): IOutput[] {
  const outputs = had.slice(0, news.from);
  const last = outputs[news.from - 1];
  if (news.append && last) {
    outputs[news.from - 1] = { ...last, text: joined(last.text) + news.append };
  }
  return [...outputs, ...news.outputs];
}

/** Return text that nbformat has as one string, or as its lines. */
export function joined(text: unknown): string {
  return Array.isArray(text) ? text.join('') : String(text ?? '');
}
