import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { Panel, Widget } from '@lumino/widgets';
import { act, cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import * as React from 'react';

import { Actions } from '../actions';
import { clock } from '../format';
import type { FleetModel } from '../model';
import { CellForm } from '../panel/cellform';
import { Runs } from '../panel/runs';
import { ScheduleForm } from '../panel/scheduleform';
import { Sheet } from '../panel/sheet';
import { detached, moment } from '../runcell';
import type { IHow } from '../runcell';
import { isTimed, reasonOf, runWord } from '../words';
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
    const how = { after: '{print(1)}', at: '{print(2)}', priority: NaN, on: 'a$(id)' };
    expect(detached('1', how)).toBe('%%macgpu --detach\n1');
  });
});

describe('moment', () => {
  it('is a time in UTC, with the day if that is another one there; nothing for none', () => {
    expect(moment('2026-12-01T18:30')).toMatch(/^2026-1[12]-\d\dT\d\d:\d\dZ$/);
    expect([moment(''), moment('soon')]).toEqual(['', '']);
  });
});

describe('after another run', () => {
  let server: Server;
  let model: FleetModel;
  let handed: IHow[];
  let around: Panel;
  let sheet: Sheet;

  const follow = async (how: IHow): Promise<void> => {
    handed.push(how);
  };

  beforeEach(async () => {
    server = new Server();
    model = server.model();
    handed = [];
    sheet = new Sheet();
    around = new Panel();
    around.addWidget(sheet);
    Widget.attach(around, document.body);
    model.look();
    await server.open();
    server.begin([host('studio')], [run('a', { name: 'train' }), run('b', { final: true })]);
  });

  afterEach(() => {
    cleanup();
    around.dispose();
    model.dispose();
  });

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

  it('a cell begins with a priority', async () => {
    const panel = { content: { activeCellChanged: new Signal({}), activeCell: null } } as any;
    render(
      <CellForm
        fleet={model}
        trans={trans}
        sheet={sheet}
        panel={panel}
        firstLine={() => 'fit(model)'}
        runCell={follow}
        close={() => undefined}
      />
    );
    const form = screen.getByRole('form', { name: 'Run the selected cell' });
    fireEvent.change(within(form).getByLabelText('When'), { target: { value: 'after' } });
    const choice = within(form).getByLabelText('After');
    const options = within(choice).getAllByRole('option').map(option => option.textContent);
    expect(options).toEqual(['choose…', 'train: fit(model) (studio, running)']);
    fireEvent.change(choice, { target: { value: A } });
    fireEvent.change(within(form).getByLabelText('Priority'), { target: { value: '2' } });
    fireEvent.submit(form);
    expect(handed).toEqual([{ after: A, on: '', priority: 2 }]);
  });

  it('a cell starts at a time of the clock here, wherever its kernel is', async () => {
    const panel = { content: { activeCellChanged: new Signal({}), activeCell: null } } as any;
    const shared = { fleet: model, trans, panel, firstLine: () => '', close: () => undefined };
    render(<CellForm {...shared} sheet={sheet} runCell={follow} />);
    const form = screen.getByRole('form', { name: 'Run the selected cell' });
    fireEvent.change(within(form).getByLabelText('When'), { target: { value: 'at' } });
    expect(within(form).getByText(/at the next contact if it is asleep or off/)).toBeTruthy();
    const at = within(form).getByLabelText('At') as HTMLInputElement;
    expect(at.required).toBe(true);
    fireEvent.change(at, { target: { value: '2026-12-01T18:30' } });
    fireEvent.submit(form);
    const meant = new Date(2026, 11, 1, 18, 30).toISOString().replace(':00.000Z', 'Z');
    expect(handed).toEqual([{ at: meant, on: '', priority: 0 }]);
    expect(detached('1', handed[0])).toBe(`%%macgpu --detach --at ${meant}\n1`);
  });

  it('a run that waits for its time says when it starts, and how that may be later', () => {
    const reason = 'its time has not come';
    const soon = Date.now() / 1000 + 3600;
    const waits = { state: 'queued', started: null, age: 3 };
    const timed = run('c', { ...waits, at: soon, reason });
    expect(runWord(trans, timed)).toBe(`starts at ${clock(soon)}`);
    expect(reasonOf(trans, timed)).toMatch(/^or at the next contact/);
    const both = run('c', { ...waits, at: soon, reason: 'it follows run aaaa' });
    expect(runWord(trans, both)).toBe(`starts at ${clock(soon)}`);
    expect(reasonOf(trans, both)).toBe('it follows run aaaa');
    // The clock here may be ahead of the host's.
    expect(isTimed(run('c', { ...waits, at: 1, reason }))).toBe(true);
    expect(runWord(trans, run('c', { ...waits, at: 1, place: 2 }))).toBe('place 2 in the queue');
    expect(runWord(trans, run('c', { at: soon }))).toBe('running');
  });

  it('a form takes the focus and gives it back, and the escape key closes it', () => {
    const Opener = (): React.ReactElement => {
      const [isOpen, open] = React.useState(false);
      return (
        <>
          <button onClick={() => open(true)}>open</button>
          {isOpen && (
            <ScheduleForm
              fleet={model}
              trans={trans}
              sheet={sheet}
              actions={new Actions(model, trans)}
              path="a.ipynb"
              firstLine={() => ''}
              save={async () => undefined}
              close={() => open(false)}
            />
          )}
        </>
      );
    };
    render(<Opener />, { container: around.node.appendChild(document.createElement('div')) });
    expect(sheet.isVisible).toBe(false);
    const button = screen.getByRole('button', { name: 'open' });
    button.focus();
    fireEvent.click(button);
    expect(sheet.isVisible).toBe(true);
    const form = screen.getByRole('form', { name: 'Run the whole notebook' });
    const when = within(form).getByLabelText('When');
    expect(document.activeElement).toBe(when);
    expect(when.title).toBe('now');
    fireEvent.keyDown(when, { key: 'Escape' });
    expect(sheet.isVisible).toBe(false);
    expect(screen.queryByRole('form')).toBeNull();
    expect(document.activeElement).toBe(button);
  });

  it('a whole notebook begins, in what the server is asked for', async () => {
    server.answers.jobs = () => [201, {}];
    const actions = new Actions(model, trans);
    render(
      <ScheduleForm
        fleet={model}
        trans={trans}
        sheet={sheet}
        actions={actions}
        path="a.ipynb"
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
