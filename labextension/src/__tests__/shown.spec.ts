import type { IOutput } from '@jupyterlab/nbformat';

import { nullTranslator } from '@jupyterlab/translation';

import { History } from '../history';
import { lines } from '../panel/report';
import { grown } from '../shown';

const stream = (text: string): IOutput => ({ output_type: 'stream', name: 'stdout', text });
const news = { run: 'a'.repeat(32), append: '', final: false };

describe('grown', () => {
  it('adds text to the stream before what is new', () => {
    const told = { ...news, from: 1, append: 'two\n', outputs: [] };
    expect(grown([stream('one\n')], told)).toEqual([stream('one\ntwo\n')]);
  });

  it('replaces what was changed in place, and all behind it', () => {
    const told = { ...news, from: 1, outputs: [stream('new')] };
    const had = [stream('kept'), stream('old'), stream('old too')];
    expect(grown(had, told)).toEqual([stream('kept'), stream('new')]);
  });

  it('leaves what was had as it was', () => {
    const had = [stream('one\n')];
    grown(had, { ...news, from: 1, append: 'two\n', outputs: [] });
    expect(had).toEqual([stream('one\n')]);
  });
});

describe('History', () => {
  it('keeps the last values, and gaps', () => {
    const history = new History(3);
    [1, null, 0.5, 0.25].forEach(value => history.add(value));
    expect(history.values).toEqual([null, 0.5, 0.25]);
  });
});

describe('lines of a report', () => {
  it('show what is known, with units, and nothing else', () => {
    const report = {
      seconds: 62,
      shipped_bytes: 2_000_000,
      usage: { memory_peak_bytes: 3_100_000_000, gpu_mean: 0.5, gpu_peak: null }
    };
    expect(lines({ trans: nullTranslator.load('') }, report)).toEqual([
      ['Time', '1 min 2 s'],
      ['Most memory', '2.89 GiB'],
      ['GPU, mean', '50 %'],
      ['Sent', '1.91 MiB']
    ]);
  });
});
