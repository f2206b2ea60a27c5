import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Actions } from '../actions';
import { time } from '../format';
import type { ISchedule } from '../rows';
import type { IFleet } from '../tokens';
import { endWord, scheduleWord } from '../words';
import { useChanges } from './changes';
import { title } from './title';

export interface ISchedules {
  fleet: IFleet;
  actions: Actions;
  trans: TranslationBundle;
  /** Open a notebook. */
  open: (path: string) => void;
}

/** The notebooks that the server runs by itself. */
export function Schedules(props: ISchedules): React.ReactElement | null {
  const { fleet, trans } = props;
  useChanges(fleet.schedulesChanged, fleet.connectionChanged);
  if (!fleet.isKnown) {
    return null;
  }
  if (!fleet.schedules.length) {
    return (
      <div className="macgpu-Notice">
        <strong>{trans.__('Nothing is scheduled')}</strong>
        <p>{trans.__('A whole notebook can run now, at a time, or every night: see above.')}</p>
      </div>
    );
  }
  return (
    <ul className="macgpu-List" aria-label={trans.__('Schedules')}>
      {fleet.schedules.map(schedule => (
        <Schedule key={schedule.id} schedule={schedule} {...props} />
      ))}
    </ul>
  );
}

function Schedule(props: ISchedules & { schedule: ISchedule }): React.ReactElement {
  const { schedule, trans } = props;
  const name = schedule.path.split('/').pop() ?? schedule.path;
  const facts = [
    scheduleWord(trans, schedule),
    schedule.now?.host ?? schedule.on,
    schedule.cron,
    awaited(props),
    schedule.priority ? trans.__('priority %1', schedule.priority) : null,
    schedule.next === null ? null : trans.__('next %1', moment(schedule.next))
  ];
  return (
    <li className={`macgpu-Run macgpu-mod-${tone(schedule)}`} aria-label={name}>
      <div className="macgpu-Run-head">
        <span className="macgpu-Dot" aria-hidden="true" />
        <span className="macgpu-Card-name" title={schedule.path}>
          {name}
        </span>
      </div>
      <div className="macgpu-Run-about">
        {facts.filter(Boolean).map(fact => (
          <span key={fact}>{fact}</span>
        ))}
      </div>
      <Last {...props} />
      <Verbs {...props} name={name} />
    </li>
  );
}

/** Return which runs go before a schedule, as far as they are not over. */
function awaited(props: ISchedules & { schedule: ISchedule }): string | null {
  const { trans, fleet, schedule } = props;
  const names = (schedule.awaits ?? []).map(({ run, host }) => {
    const known = fleet.runs.get(run);
    return `${known ? title(trans, known) : run.slice(0, 8)} (${host})`;
  });
  return names.length ? trans.__('after %1', names.join(', ')) : null;
}

function Last(props: ISchedules & { schedule: ISchedule }): React.ReactElement | null {
  const { schedule, trans } = props;
  const { last } = schedule;
  if (!last) {
    return null;
  }
  const took = last.seconds === null ? '' : `, ${time(trans, last.seconds)}`;
  return (
    <>
      <div className="macgpu-Card-about">
        {trans.__('last %1: %2', moment(last.at), `${endWord(trans, last)}${took}`)}
      </div>
      {last.message && <div className="macgpu-Card-reason">{last.message}</div>}
    </>
  );
}

function Verbs(props: ISchedules & { schedule: ISchedule; name: string }): React.ReactElement {
  const { schedule, trans, actions, name } = props;
  const output = schedule.now?.output ?? schedule.last?.output;
  const verbs: [string, string, () => void][] = [];
  if (output) {
    verbs.push([trans.__('Open'), trans.__('Open what %1 has written', name), () => props.open(output)]);
  }
  const change = (verb: string) => () => void actions.change(schedule, verb);
  if (schedule.state === 'running') {
    verbs.push([trans.__('Cancel'), trans.__('Cancel %1', name), change('cancel')]);
  } else {
    verbs.push([trans.__('Run now'), trans.__('Run %1 now', name), change('run')]);
  }
  if (schedule.state === 'paused') {
    verbs.push([trans.__('Resume'), trans.__('Resume %1', name), change('resume')]);
  } else if (schedule.state !== 'done') {
    verbs.push([trans.__('Pause'), trans.__('Pause %1', name), change('pause')]);
  }
  if (schedule.state !== 'running') {
    const remove = () => void actions.unschedule(schedule);
    verbs.push([trans.__('Remove'), trans.__('Remove %1', name), remove]);
  }
  return (
    <div className="macgpu-Buttons">
      {verbs.map(([label, what, act]) => (
        <button key={label} className="macgpu-Button" aria-label={what} onClick={act}>
          {label}
        </button>
      ))}
    </div>
  );
}

function tone(schedule: ISchedule): string {
  if (schedule.state === 'running') {
    return 'started';
  }
  return schedule.last && schedule.last.state !== 'ok' ? 'error' : 'ok';
}

/** Return a time as a calendar and a clock have it, here. */
function moment(seconds: number): string {
  const options = { dateStyle: 'short', timeStyle: 'short' } as const;
  return new Date(seconds * 1000).toLocaleString(undefined, options);
}
