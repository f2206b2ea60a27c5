import type { CodeCellModel } from '@jupyterlab/cells';
import type { IOutput } from '@jupyterlab/nbformat';
import { NotebookModel } from '@jupyterlab/notebook';
import { OutputArea } from '@jupyterlab/outputarea';
import { RenderMimeRegistry, standardRendererFactories } from '@jupyterlab/rendermime';
import { framePromise } from '@jupyterlab/testing';

import { detached } from '../runcell';
import { RUN_MIME } from '../rows';
import { named, write } from '../writer';

const RUN = 'a'.repeat(32);
const SAID = { run: RUN, host: 'studio', final: false, line: '' };

const stream = (text: string, name = 'stdout'): IOutput => ({ output_type: 'stream', name, text });
const value = (text: string): IOutput => ({
  output_type: 'execute_result',
  execution_count: 0,
  data: { 'text/plain': text },
  metadata: {}
});
const naming = (): IOutput => ({
  output_type: 'execute_result',
  execution_count: 7,
  data: { [RUN_MIME]: { run: RUN, host: 'studio' }, 'text/plain': '<run>' },
  metadata: {}
});

function cell(...outputs: IOutput[]): CodeCellModel {
  const notebook = new NotebookModel();
  notebook.sharedModel.insertCell(0, { cell_type: 'code', source: '', outputs });
  return notebook.cells.get(0) as CodeCellModel;
}

describe('write', () => {
  it('puts what is shown behind the output that names the run', () => {
    const made = cell(stream('before\n', 'stderr'), naming());
    expect(write(made, RUN, [stream('one\n'), value('42')], SAID)).toBe(true);
    const outputs = made.sharedModel.getOutputs();
    expect(outputs.map(each => each.output_type)).toEqual([
      'stream',
      'execute_result',
      'stream',
      'execute_result'
    ]);
    expect(made.outputs.toJSON()).toEqual(outputs);
  });

  it('writes nothing twice, however often it is told', () => {
    const made = cell(naming());
    let changes = 0;
    write(made, RUN, [stream('one\n'), value('42')], SAID);
    made.sharedModel.changed.connect(() => (changes += 1));
    write(made, RUN, [stream('one\n'), value('42')], SAID);
    expect(changes).toBe(0);
    expect(made.sharedModel.getOutputs().length).toBe(3);
  });

  it('lets a stream grow, in the page too', () => {
    const made = cell(naming());
    for (const text of ['a', 'ab\n', 'ab\nc']) {
      write(made, RUN, [stream(text)], SAID);
      expect(made.sharedModel.getOutputs()[1].text).toBe(text);
      expect(made.outputs.get(1).toJSON().text).toBe(text);
    }
  });

  it('takes away what was cleared', () => {
    const made = cell(naming());
    write(made, RUN, [stream('old'), value('1')], SAID);
    write(made, RUN, [stream('new')], SAID);
    expect(made.sharedModel.getOutputs().length).toBe(2);
    expect(made.outputs.length).toBe(2);
  });

  it('finishes what another browser began to write', () => {
    const made = cell(naming(), stream('on'));
    write(made, RUN, [stream('one\n'), value('42')], { ...SAID, final: true });
    expect(named(made.sharedModel.getOutputs())?.final).toBe(true);
    expect(made.sharedModel.getOutputs().map(each => each.text ?? '')).toEqual(['', 'one\n', '']);
  });

  it('counts a result as its cell is counted', () => {
    const made = cell(naming());
    write(made, RUN, [value('42')], SAID);
    expect(made.sharedModel.getOutputs()[1].execution_count).toBe(7);
  });

  it('says how the run stands, and nothing older', () => {
    const made = cell(naming());
    write(made, RUN, [], { ...SAID, final: true, line: '<run: done>' });
    const data = made.sharedModel.getOutputs()[0].data as any;
    expect(data['text/plain']).toBe('<run: done>');
    expect(Object.keys(data).sort()).toEqual([RUN_MIME, 'text/plain']);
  });

  it('takes away what two browsers wrote at the same moment', () => {
    const made = cell(naming(), naming(), stream('one\n'), stream('one\n', 'stderr'));
    const found = named(made.sharedModel.getOutputs());
    expect([found?.at, found?.final, found?.isTwice]).toEqual([0, false, true]);
    write(made, RUN, [stream('one\n'), value('42')], { ...SAID, final: true });
    expect(made.sharedModel.getOutputs().length).toBe(3);
    expect(named(made.sharedModel.getOutputs())).toMatchObject({ final: true, isTwice: false });
  });

  it('leaves a cell alone that was run again', () => {
    const made = cell(stream('another'));
    expect(write(made, RUN, [stream('one')], SAID)).toBe(false);
    expect(made.sharedModel.getOutputs()).toEqual([stream('another')]);
  });
});

describe('what is written is shown', () => {
  /** Return how the page shows a cell's outputs: what stands in each of them. */
  function texts(area: OutputArea): string[] {
    return area.widgets.map(each => each.node.textContent ?? '');
  }

  function view(made: CodeCellModel): OutputArea {
    const rendermime = new RenderMimeRegistry({ initialFactories: standardRendererFactories });
    return new OutputArea({ model: made.outputs, rendermime });
  }

  const one = stream('one\n');
  const states: Record<string, IOutput[]> = {
    nothing: [],
    begun: [one],
    more: [stream('one\ntwo\n')],
    another: [stream('other\n')],
    result: [stream('one\ntwo\n'), value('42')],
    error: [stream('one\n'), stream('wrong\n', 'stderr'), value('42')],
    end: [value('42')]
  };
  const names = Object.keys(states);
  const ways = names.flatMap(from => names.map(to => [from, to]));

  it.each(ways)('from %s to %s and on', async (from, to) => {
    const made = cell(stream('before\n', 'stderr'), naming(), ...states[from]);
    const area = view(made);
    const through = [to, from, 'nothing', 'begun', 'result', to];
    for (const [step, state] of through.entries()) {
      write(made, RUN, states[state], { ...SAID, line: `<run ${step}>` });
      write(made, RUN, states[state], { ...SAID, line: `<run ${step}>` });
      expect(made.outputs.toJSON()).toEqual(made.sharedModel.getOutputs());
    }
    write(made, RUN, states.begun, SAID);
    write(made, RUN, states.more, SAID);
    write(made, RUN, states.result, { ...SAID, final: true });
    expect(made.outputs.toJSON()).toEqual(made.sharedModel.getOutputs());
    await framePromise();
    await framePromise();
    const shown = texts(area);
    expect(shown.length).toBe(4);
    expect(shown[0]).toContain('before');
    expect(shown[2]).toContain('two');
    expect(shown[3]).toContain('42');
    area.dispose();
  });

  it('lets a line be overwritten, as a terminal does', () => {
    const made = cell(naming());
    const counts = ['10%\r', '10%\r20%\r', '10%\r20%\r100%\r\n', '10%\r20%\r100%\r\n\u{1D400}1\r\u{1D401}'];
    const seen = counts.map(text => {
      write(made, RUN, [stream(text)], SAID);
      expect(made.outputs.toJSON()).toEqual(made.sharedModel.getOutputs());
      return made.sharedModel.getOutputs()[1].text;
    });
    expect(seen).toEqual(['10%', '20%', '100%\n', '100%\n\u{1D401}1']);
  });
});

describe('named', () => {
  it.each([{ run: 'x' }, { run: '../../../api' }, 'text', null, { run: 7 }])(
    'takes no %j for a run',
    said => {
      const output = { ...naming(), data: { [RUN_MIME]: said } } as IOutput;
      expect(named([output])).toBeNull();
    }
  );
});

describe('detached', () => {
  it.each([
    ['x = 1', '%%macgpu --detach\nx = 1'],
    ['%%macgpu --on studio\nx = 1', '%%macgpu --detach --on studio\nx = 1'],
    ['%%macgpu --detach\nx = 1', '%%macgpu --detach\nx = 1'],
    ['%%macgpu\n"$&"', '%%macgpu --detach\n"$&"'],
    ['%%macgpux\n1', '%%macgpu --detach\n%%macgpux\n1']
  ])('hands in %j as %j', (source, wanted) => {
    expect(detached(source)).toBe(wanted);
  });
});
