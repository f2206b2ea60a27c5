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

/** Return an output as a terminal would show it: what follows a carriage return takes its line. */
export function overwritten(output: IOutput): IOutput {
  const text = output.output_type === 'stream' ? joined(output.text) : '';
  if (!text.includes('\r')) {
    return output;
  }
  const lines = text.replace(/\r+\n/g, '\n').split('\n');
  return { ...output, text: lines.map(overwrittenLine).join('\n') };
}

function overwrittenLine(line: string): string {
  return line
    .split('\r')
    .reduce((before, after) => after + before.slice(after.length));
}
