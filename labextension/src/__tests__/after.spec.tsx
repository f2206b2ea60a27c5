import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { act, fireEvent, render, screen, within } from '@testing-library/react';
import * as React from 'react';

import { Actions } from '../actions';
import type { FleetModel } from '../model';
import { CellForm } from '../panel/cellform';
import { Runs } from '../panel/runs';
import { ScheduleForm } from '../panel/scheduleform';
import { detached } from '../runcell';
import type { IHow } from '../runcell';
import { host, run, Server, until } from './server';

const trans = nullTranslator.load('jupyter_macgpu');
const A = 'a'.repeat(32);

describe('detached', () => {
  it('writes a choice into the line of the magic, and keeps what stands there', () => {
    expect(detached('1')).toBe('%%macgpu --detach\n1');
    const how = { after: `any:${A}`, priority: -2, on: 'studio.local' };
    expect(detached('%%macgpu --mem 2GB\n1', how)).toBe(
      `%%macgpu --detach --after any:${A} --priority -2 --on studio.local --mem 2GB\n1`
    );
    expect(detached('%%macgpu --detach --as x\n1', { after: A })).toBe(
      `%%macgpu --after ${A} --detach --as x\n1`
    );
  });

  it('leaves out what IPython would compute', () => {
    const how = { after: '{print(1)}', priority: NaN, on: 'a$(id)' };
    expect(detached('1', how)).toBe('%%macgpu --detach\n1');
  });
});

describe('after another run', () => {
  let server: Server;
  let model: FleetModel;
  let handed: IHow[];

  const follow = async (how: IHow): Promise<void> => {
    handed.push(how);
  };

  beforeEach(async () => {
    server = new Server();
    model = server.model();
    handed = [];
    model.look();
    await server.open();
    server.begin([host('studio')], [run('a', { name: 'train' }), run('b', { final: true })]);
  });

  afterEach(() => model.dispose());

  it('the selected cell is handed in from the row of a run that is not over', async () => {
    const shared = { fleet: model, trans, actions: new Actions(model, trans) };
    render(
      <Runs {...shared} goTo={() => undefined} firstLine={() => ''} follow={follow} />
    );
    for (const name of ['train', 'train.ipynb']) {
      fireEvent.click(screen.getByRole('button', { name }));
    }
    await act(async () => new Promise(resolve => setTimeout(resolve, 50)));
    const button = screen.getByRole('button', { name: 'Run the selected cell after this' });
    fireEvent.click(button);
    fireEvent.click(screen.getByLabelText('also if that does not end well'));
    fireEvent.click(button);
    expect(handed).toEqual([{ after: A }, { after: `any:${A}` }]);
  });

  it('a cell begins with a priority, and has no time of its own', async () => {
    const opened: string[] = [];
    const panel = { content: { activeCellChanged: new Signal({}), activeCell: null } } as any;
    render(
      <CellForm
        fleet={model}
        trans={trans}
        panel={panel}
        firstLine={() => 'fit(model)'}
        runCell={follow}
        openNotebook={() => opened.push('notebook')}
        close={() => undefined}
      />
    );
    const form = screen.getByRole('form', { name: 'Run the selected cell' });
    fireEvent.change(within(form).getByLabelText('When'), { target: { value: 'later' } });
    expect(within(form).getByText(/variables that its kernel alone has/)).toBeTruthy();
    fireEvent.click(within(form).getByRole('button', { name: /whole notebook at a time/ }));
    expect(opened).toEqual(['notebook']);
    fireEvent.change(within(form).getByLabelText('When'), { target: { value: 'after' } });
    const choice = within(form).getByLabelText('After');
    const options = within(choice).getAllByRole('option').map(option => option.textContent);
    expect(options).toEqual(['choose…', 'train: fit(model) (studio, running)']);
    fireEvent.change(choice, { target: { value: A } });
    fireEvent.change(within(form).getByLabelText('Priority'), { target: { value: '2' } });
    fireEvent.submit(form);
    expect(handed).toEqual([{ after: A, on: '', priority: 2 }]);
  });

  it('a whole notebook begins, in what the server is asked for', async () => {
    server.answers.jobs = () => [201, {}];
    const actions = new Actions(model, trans);
    render(
      <ScheduleForm
        fleet={model}
        trans={trans}
        actions={actions}
        path="a.ipynb"
        when="now"
        firstLine={() => ''}
        save={async () => undefined}
        close={() => undefined}
      />
    );
    const form = screen.getByRole('form', { name: 'Run the whole notebook' });
    fireEvent.change(within(form).getByLabelText('When'), { target: { value: 'after' } });
    fireEvent.change(within(form).getByLabelText('After'), { target: { value: A } });
    fireEvent.click(within(form).getByLabelText('also if that does not end well'));
    fireEvent.change(within(form).getByLabelText('Priority'), { target: { value: '-1' } });
    await act(async () => {
      fireEvent.submit(form);
      await until(() => server.asked.some(([, path]) => path === 'jobs'));
    });
    const body = server.asked.find(([, path]) => path === 'jobs')?.[2];
    expect(body).toMatchObject({ after: [`any:${A}`], priority: -1, at: null, cron: null });
  });
});
