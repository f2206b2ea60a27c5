import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { act, render, screen, within } from '@testing-library/react';
import * as React from 'react';

import { size } from '../format';
import type { FleetModel } from '../model';
import { LiveValues } from '../panel/livevalues';
import type { IRun, IValues } from '../rows';
import { run, Server, until } from './server';

const trans = nullTranslator.load('jupyter_macgpu');
const NOTHING: IValues = { values: [], left_out: 0, unknown: [] };

describe('the values of a notebook', () => {
  let server: Server;
  let model: FleetModel;
  let context: { statusChanged: Signal<object, string> };

  beforeEach(async () => {
    server = new Server();
    model = server.model();
    context = { statusChanged: new Signal<object, string>({}) };
    model.look();
    await server.open();
    server.begin();
  });

  afterEach(() => model.dispose());

  const drawn = (runs: IRun[]): React.ReactElement => (
    <LiveValues
      fleet={model}
      trans={trans}
      panel={{ sessionContext: context } as any}
      path="work/a b.ipynb"
      runs={runs}
    />
  );

  const asked = (): number => server.asked.filter(([, path]) => path === 'values').length;

  const settled = async (count: number): Promise<void> => {
    await act(async () => {
      await until(() => asked() === count);
      await new Promise(resolve => setTimeout(resolve, 50));
    });
  };

  it('are listed with their type, memory and Mac, and what is not known is said', async () => {
    server.answers.values = () => [
      200,
      {
        values: [
          { name: 'weights', type: 'Tensor', size: 3 * 2 ** 30, host: 'studio' },
          { name: 'squares', type: 'generator', size: null, host: 'mini' }
        ],
        left_out: 0,
        unknown: [{ host: 'air', reason: 'a cell runs there' }]
      }
    ];
    render(drawn([run('a')]));
    await settled(1);
    expect(server.queries.join()).toContain('path=work%2Fa%20b.ipynb&');
    expect(screen.getByText('2 values live on Macs alone: 3 GiB')).toBeTruthy();
    const list = screen.getByRole('list', { name: 'Values that live on Macs alone' });
    const texts = within(list).getAllByRole('listitem').map(item => item.textContent);
    expect(texts).toEqual(['weightsTensor · 3 GiB · studio', 'squaresgenerator · mini']);
    expect(screen.getByText('Values on air: not known (a cell runs there)')).toBeTruthy();
  });

  it('are asked for again when a run has ended and when the kernel rests, and not else', async () => {
    server.answers.values = () => [200, NOTHING];
    const { rerender } = render(drawn([run('a')]));
    await settled(1);
    expect(screen.getByText('No value lives on a Mac alone')).toBeTruthy();
    rerender(drawn([run('a', { age: 9 })]));
    await act(async () => {
      context.statusChanged.emit('busy');
      await new Promise(resolve => setTimeout(resolve, 600));
    });
    expect(asked()).toBe(1);
    rerender(drawn([run('a', { state: 'ok', final: true })]));
    await settled(2);
    await act(async () => context.statusChanged.emit('idle'));
    await settled(3);
  });

  it('are not asked for while nobody looks, nor of a notebook without runs', async () => {
    server.answers.values = () => [200, NOTHING];
    const { rerender, container } = render(drawn([]));
    await act(async () => {
      await new Promise(resolve => setTimeout(resolve, 600));
    });
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    await act(async () => {
      document.dispatchEvent(new Event('visibilitychange'));
      rerender(drawn([run('a')]));
      await new Promise(resolve => setTimeout(resolve, 600));
    });
    Reflect.deleteProperty(document, 'visibilityState');
    expect(asked()).toBe(0);
    expect(container.textContent).toBe('');
  });

  it('are replaced by why they are not known if the server half says no', async () => {
    server.answers.values = () => [503, { message: 'No host answers.', reason: '', hint: '' }];
    render(drawn([run('a')]));
    await settled(1);
    expect(screen.getByText('No host answers.')).toBeTruthy();
  });
});

describe('a size', () => {
  it('has 3 digits and the units that tables have', () => {
    const sizes = [0, 1023, 1024, 1536, 1536 * 2 ** 20, 192 * 2 ** 30];
    expect(sizes.map(size)).toEqual(['0 B', '1023 B', '1 KiB', '1.5 KiB', '1.5 GiB', '192 GiB']);
    const long = [1000 * 1024, 1023 * 1024, 2 ** 20 - 1, 1500 * 2 ** 30];
    expect(long.map(size)).toEqual(['1000 KiB', '1023 KiB', '1 MiB', '1500 GiB']);
    expect(size(null)).toBe('–');
  });
});
