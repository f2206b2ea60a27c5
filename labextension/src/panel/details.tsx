import * as React from 'react';

import type { IHow } from '../runcell';
import { isWaiting, takesRuns } from '../words';
import { AnyEnd, LEAST, MOST, named } from './after';
import { Report } from './report';
import type { IRuns } from './runs';
import type { IHeardRun } from '../tokens';

/** The value of a choice that leaves it to the fleet. */
const ANY = '';

/** What can be done with a run, and what is known of it beyond its line. */
export function Details(props: IRuns & { run: IHeardRun }): React.ReactElement {
  const { run, trans, actions } = props;
  return (
    <div className="macgpu-Details">
      {isWaiting(run) && <Waiting {...props} />}
      {!run.final && props.follow && <Next {...props} follow={props.follow} />}
      <div className="macgpu-Buttons">
        {run.notebook && (
          <button className="macgpu-Button" onClick={() => props.goTo(run)}>
            {run.cell ? trans.__('Go to the cell') : trans.__('Open the notebook')}
          </button>
        )}
        {run.final && (
          <button className="macgpu-Button" onClick={() => void actions.remove(run)}>
            {trans.__('Forget it')}
          </button>
        )}
      </div>
      {run.final && <Report {...props} />}
      <div className="macgpu-Run-about">
        <span>{trans.__('Run %1', run.run.slice(0, 8))}</span>
        {run.after.length > 0 && <span>{trans._n('after %1 run', 'after %1 runs', run.after.length)}</span>}
      </div>
    </div>
  );
}

/** Hands the selected cell in behind a run. */
function Next(
  props: IRuns & { run: IHeardRun; follow: (how: IHow) => Promise<void> }
): React.ReactElement {
  const { run, trans, follow } = props;
  const [isAny, setAny] = React.useState(false);
  return (
    <div className="macgpu-Row">
      <button
        className="macgpu-Button"
        onClick={() => void follow({ after: named(run.run, isAny) })}
      >
        {trans.__('Run the selected cell after this')}
      </button>
      <AnyEnd trans={trans} isAny={isAny} change={setAny} />
    </div>
  );
}

function Waiting(props: IRuns & { run: IHeardRun }): React.ReactElement {
  const { run, trans, actions, fleet } = props;
  const [priority, setPriority] = React.useState(String(run.priority));
  const others = [...fleet.hosts.values()].filter(
    host => host.name !== run.host && takesRuns(host)
  );
  return (
    <>
      <form
        className="macgpu-Row"
        onSubmit={event => {
          event.preventDefault();
          void actions.prioritise(run, Number(priority) || 0);
        }}
      >
        <label>
          {trans.__('Priority')}{' '}
          <input
            className="macgpu-Input"
            type="number"
            min={LEAST}
            max={MOST}
            step={1}
            value={priority}
            onChange={event => setPriority(event.target.value)}
          />
        </label>
        <button className="macgpu-Button" type="submit">
          {trans.__('Change')}
        </button>
      </form>
      {run.detached && (
        <label className="macgpu-Row">
          {trans.__('Move to')}{' '}
          <select
            className="macgpu-Input"
            value="?"
            onChange={event => void actions.move(run, event.target.value || null)}
          >
            <option value="?" disabled>
              {trans.__('choose…')}
            </option>
            <option value={ANY}>{trans.__('whichever suits it best')}</option>
            {others.map(host => (
              <option key={host.name} value={host.name}>
                {host.name}
              </option>
            ))}
          </select>
        </label>
      )}
    </>
  );
}
