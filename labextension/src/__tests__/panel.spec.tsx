import { nullTranslator } from '@jupyterlab/translation';
import { act, fireEvent, render, screen, within } from '@testing-library/react';
import * as React from 'react';

import { Actions } from '../actions';
import type { FleetModel } from '../model';
import { Macs } from '../panel/macs';
import { Runs, sorted } from '../panel/runs';
import { segments } from '../panel/sparkline';
import { host, run, Server, until } from './server';

const trans = nullTranslator.load('jupyter_macgpu');

describe('the panel', () => {
  let server: Server;
  let model: FleetModel;
  let chosen: string[];

  beforeEach(() => {
    server = new Server();
    model = server.model();
    chosen = [];
  });

  afterEach(() => model.dispose());

  const draw = (): void => {
    const shared = { fleet: model, trans, actions: new Actions(model, trans) };
    render(
      <>
        <Macs
          {...shared}
          version="0.1.0"
          moments={60}
          chosen=""
          choose={name => chosen.push(name)}
        />
        <Runs {...shared} goTo={() => undefined} firstLine={() => ''} follow={null} />
      </>
    );
  };

  const begin = async (...given: Parameters<Server['begin']>): Promise<void> => {
    draw();
    model.look();
    await server.open();
    await act(async () => {
      server.begin(...given);
      await new Promise(resolve => setTimeout(resolve, 50));
    });
  };

  it('says of each Mac how it is, in words', async () => {
    const refused = host('mini', { state: 'refused', reason: 'the key is not known there' });
    await begin([host('studio', { holders: [holder('anna')] }), refused]);
    const studio = screen.getByRole('listitem', { name: 'studio: ready' });
    expect(within(studio).getByText('16 GiB of 64 GiB')).toBeTruthy();
    expect(within(studio).getByText('anna: computes · 2 GiB')).toBeTruthy();
    const mini = screen.getByRole('listitem', { name: 'mini: refused us' });
    expect(within(mini).getByText('the key is not known there')).toBeTruthy();
    expect(within(mini).getByText(/last seen 1 s ago/)).toBeTruthy();
    expect(within(mini).queryByText('GPU')).toBeNull();
  });

  it('shows a dash for what is not known, never a zero', async () => {
    const memory = { total: null, free: null, ours: null, others: null, limit: null };
    await begin([host('studio', { gpu: null, watts: null, memory })]);
    expect(screen.getAllByText('–').length).toBe(2);
    expect(screen.queryByText(/0 %|0 W/)).toBeNull();
  });

  it('takes a Mac for the notebook, and drains one', async () => {
    await begin([host('studio')]);
    server.answers['hosts/studio/drain'] = () => [200, host('studio', { state: 'draining' })];
    fireEvent.click(screen.getByRole('button', { name: 'Use studio for this notebook' }));
    expect(chosen).toEqual(['studio']);
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'Let studio take nothing new' }));
      await until(() => server.asked.some(([, path]) => path === 'hosts/studio/drain'));
      await new Promise(resolve => setTimeout(resolve, 50));
    });
    expect(screen.getByRole('button', { name: 'Let studio take runs again' })).toBeTruthy();
  });

  it('says how to add a Mac where there is none', async () => {
    await begin();
    expect(screen.getByText('macgpu add studio.local')).toBeTruthy();
  });

  it('says that the server half is missing, and what to type', async () => {
    server.answers.version = () => [404, null];
    draw();
    await act(async () => {
      model.look();
      await until(() => model.connection === 'missing');
      await new Promise(resolve => setTimeout(resolve, 50));
    });
    expect(screen.getByRole('status').textContent).toMatch(/server half is missing/);
    expect(screen.getByText('pip install jupyter-macgpu')).toBeTruthy();
  });

  it('cancels a waiting run without a question', async () => {
    const waiting = run('a', { state: 'queued', place: 2, started: null, wait: 60 });
    await begin([host('studio')], [waiting]);
    server.answers[`runs/${waiting.run}/cancel`] = () => [202, waiting];
    expect(screen.getByText('place 2 in the queue')).toBeTruthy();
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'Cancel train.ipynb' }));
      await until(() => server.asked.some(([method]) => method === 'POST'));
      await new Promise(resolve => setTimeout(resolve, 50));
    });
    expect(screen.getByText('cancelling…')).toBeTruthy();
    const button = screen.getByRole('button', { name: 'Cancel train.ipynb' });
    expect((button as HTMLButtonElement).disabled).toBe(true);
  });

  it('offers a move only to Macs that take runs', async () => {
    const waiting = run('a', { state: 'queued', place: 1, started: null });
    await begin([host('studio'), host('mini'), host('off', { state: 'unreachable' })], [waiting]);
    fireEvent.click(screen.getByRole('button', { name: 'train.ipynb' }));
    const options = within(screen.getByLabelText('Move to')).getAllByRole('option');
    expect(options.map(option => option.textContent)).toEqual([
      'choose…',
      'whichever suits it best',
      'mini'
    ]);
  });
});

describe('sorted', () => {
  it('has what computes first, then what waits by place, and the last that ended', () => {
    const heard = 100;
    const rows = [
      run('a', { state: 'queued', place: 2 }),
      run('b', { state: 'ok', final: true, age: 50 }),
      run('c'),
      run('d', { state: 'queued', place: 1 }),
      run('e', { state: 'ok', final: true, age: 5 })
    ].map(row => ({ ...row, heard }));
    const { live, ended } = sorted(rows);
    expect(live.map(row => row.run[0])).toEqual(['c', 'd', 'a']);
    expect(ended.map(row => row.run[0])).toEqual(['e', 'b']);
  });
});

describe('segments', () => {
  it('has a gap where nothing is known', () => {
    expect(segments([0, 1, null, 0.5, 0.5], 5).length).toBe(2);
  });
});

function holder(login: string) {
  return { login, since: 60, mem: 2 ** 31, kind: 'gpu', place: null };
}
