import { CodeCell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { moment } from '../runcell';
import type { IHow } from '../runcell';
import type { IFleet, IHeardRun } from '../tokens';
import { first } from '../visits';
import { takesRuns } from '../words';
import { After, named, Priority } from './after';
import { useChanges } from './changes';
import { Choice, Form, OnMac } from './form';
import type { Sheet } from './sheet';

/** Asks when and where the selected cell is to run. */
export function CellForm(props: {
  fleet: IFleet;
  trans: TranslationBundle;
  sheet: Sheet;
  panel: NotebookPanel;
  firstLine: (run: IHeardRun) => string;
  runCell: (how: IHow) => Promise<void>;
  close: () => void;
}): React.ReactElement {
  const { fleet, trans, panel } = props;
  const [when, setWhen] = React.useState('now');
  const [after, setAfter] = React.useState({ run: '', isAny: false });
  const [at, setAt] = React.useState('');
  const [priority, setPriority] = React.useState('0');
  const [on, setOn] = React.useState('');
  useChanges(panel.content.activeCellChanged);
  const cell = panel.content.activeCell;
  const isCode = cell instanceof CodeCell;
  const send = (): void => {
    const before = when === 'after' ? { after: named(after.run, after.isAny) } : {};
    const time = when === 'at' ? { at: moment(at) } : {};
    void props.runCell({ ...before, ...time, on, priority: Number(priority) || 0 });
    props.close();
  };
  return (
    <Form
      {...props}
      name={trans.__('Run the selected cell')}
      about={
        isCode ? first(cell.model.sharedModel.getSource()) || trans.__('an empty cell') : '–'
      }
      verb={trans.__('Run')}
      isReady={isCode}
      send={send}
    >
      <Choice
        label={trans.__('When')}
        options={[
          ['now', trans.__('now')],
          ['after', trans.__('after a run')],
          ['at', trans.__('at a time')]
        ]}
        value={when}
        change={setWhen}
      />
      {when === 'after' && <After {...props} after={after} change={setAfter} />}
      {when === 'at' && <At trans={trans} at={at} change={setAt} />}
      <OnMac
        trans={trans}
        any={trans.__('as the notebook says')}
        names={[...fleet.hosts.values()].filter(takesRuns).map(host => host.name)}
        value={on}
        change={setOn}
      />
      <Priority trans={trans} value={priority} change={setPriority} />
    </Form>
  );
}

/** Asks at which time a cell is to start, and says what that means. */
function At(props: {
  trans: TranslationBundle;
  at: string;
  change: (at: string) => void;
}): React.ReactElement {
  const { trans } = props;
  return (
    <>
      <label>
        {trans.__('At')}
        <input
          className="macgpu-Input"
          type="datetime-local"
          required
          value={props.at}
          onChange={event => props.change(event.target.value)}
        />
      </label>
      <p className="macgpu-Card-about">
        {trans.__(
          'The cell and what it reads are sent now, so the notebook may be closed. The Mac starts it then, or at the next contact if it is asleep or off.'
        )}
      </p>
    </>
  );
}
