import { CodeCell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IHow } from '../runcell';
import type { IFleet, IHeardRun } from '../tokens';
import { first } from '../visits';
import { takesRuns } from '../words';
import { After, named, Priority } from './after';
import { useChanges } from './changes';

/** Asks when and where the selected cell is to run. */
export function CellForm(props: {
  fleet: IFleet;
  trans: TranslationBundle;
  panel: NotebookPanel;
  firstLine: (run: IHeardRun) => string;
  runCell: (how: IHow) => Promise<void>;
  /** Ask when the whole notebook is to run. */
  openNotebook: () => void;
  close: () => void;
}): React.ReactElement {
  const { fleet, trans, panel } = props;
  const [when, setWhen] = React.useState('now');
  const [after, setAfter] = React.useState({ run: '', isAny: false });
  const [priority, setPriority] = React.useState('0');
  const [on, setOn] = React.useState('');
  useChanges(panel.content.activeCellChanged);
  const cell = panel.content.activeCell;
  const isCode = cell instanceof CodeCell;
  const isLater = when === 'later';
  const send = (): void => {
    const before = when === 'after' ? { after: named(after.run, after.isAny) } : {};
    void props.runCell({ ...before, on, priority: Number(priority) || 0 });
    props.close();
  };
  return (
    <form
      className="macgpu-Form"
      aria-label={trans.__('Run the selected cell')}
      onSubmit={event => {
        event.preventDefault();
        send();
      }}
    >
      <code className="macgpu-Run-line">
        {isCode ? first(cell.model.sharedModel.getSource()) || trans.__('an empty cell') : '–'}
      </code>
      <label>
        {trans.__('When')}
        <select
          className="macgpu-Input"
          value={when}
          onChange={event => setWhen(event.target.value)}
        >
          <option value="now">{trans.__('now')}</option>
          <option value="after">{trans.__('after a run')}</option>
          <option value="later">{trans.__('at a time')}</option>
        </select>
      </label>
      {when === 'after' && <After {...props} after={after} change={setAfter} />}
      {isLater ? (
        <Later trans={trans} openNotebook={props.openNotebook} />
      ) : (
        <>
          <label>
            {trans.__('On')}
            <select
              className="macgpu-Input"
              value={on}
              onChange={event => setOn(event.target.value)}
            >
              <option value="">{trans.__('as the notebook says')}</option>
              {[...fleet.hosts.values()].filter(takesRuns).map(host => (
                <option key={host.name} value={host.name}>
                  {host.name}
                </option>
              ))}
            </select>
          </label>
          <Priority trans={trans} value={priority} change={setPriority} />
        </>
      )}
      <div className="macgpu-Buttons">
        <button className="macgpu-Button" type="submit" disabled={isLater || !isCode}>
          {trans.__('Run')}
        </button>
        <button className="macgpu-Button" type="button" onClick={props.close}>
          {trans.__('Close')}
        </button>
      </div>
    </form>
  );
}

/** Says why a cell has no time of its own, and what has. */
function Later(props: { trans: TranslationBundle; openNotebook: () => void }): React.ReactElement {
  const { trans } = props;
  return (
    <div className="macgpu-Card-about">
      <p>
        {trans.__(
          'A cell reads variables that its kernel alone has, and that may be others by then, or gone. A time is for the whole notebook, which computes them anew.'
        )}
      </p>
      <button className="macgpu-Button" type="button" onClick={props.openNotebook}>
        {trans.__('Run the whole notebook at a time…')}
      </button>
    </div>
  );
}
