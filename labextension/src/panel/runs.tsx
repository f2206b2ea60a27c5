import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Actions } from '../actions';
import { time } from '../format';
import type { IHow } from '../runcell';
import type { IFleet, IHeardRun } from '../tokens';
import { isTimed, isWaiting, reasonOf, runWord } from '../words';
import { useChanges, useFocus, useSeconds } from './changes';
import { Details } from './details';
import { LONG, useNear } from './near';
import { title } from './title';

/** How many ended runs are listed before one asks for more. */
const ENDED = 20;
/** Pixels that a run's row is high, about. */
const HEIGHT = 60;

export interface IRuns {
  fleet: IFleet;
  actions: Actions;
  trans: TranslationBundle;
  /** Show the cell of a run. */
  goTo: (run: IHeardRun) => void;
  /** Return the first line of a run's cell, if it can be seen. */
  firstLine: (run: IHeardRun) => string;
  /** Hand in the selected cell of the notebook in front; null while there is none. */
  follow: ((how: IHow) => Promise<void>) | null;
}

/** All runs: those under way, then those that ended. */
export function Runs(props: IRuns): React.ReactElement | null {
  const { fleet, trans } = props;
  const [isAll, showAll] = React.useState(false);
  const list = React.useRef<HTMLDivElement>(null);
  useChanges(fleet.runsChanged, fleet.connectionChanged);
  useFocus(list);
  const { live, ended } = sorted(fleet.runs.values());
  if (!fleet.isKnown) {
    return null;
  }
  if (!live.length && !ended.length) {
    return (
      <div className="macgpu-Notice">
        <strong>{trans.__('No runs')}</strong>
        <p>{trans.__('Cells that run on a Mac are listed here, those of all notebooks.')}</p>
      </div>
    );
  }
  const shown = isAll ? ended : ended.slice(0, ENDED);
  const isLong = live.length + shown.length > LONG;
  return (
    <div
      ref={list}
      className={fleet.connection === 'connected' ? 'macgpu-Runs' : 'macgpu-Runs macgpu-mod-old'}
    >
      {live.length > 0 && (
        <ul className="macgpu-List" aria-label={trans.__('Under way')}>
          {live.map(run => (
            <Run key={run.run} run={run} isLong={isLong} {...props} />
          ))}
        </ul>
      )}
      {ended.length > 0 && (
        <>
          <h3 className="macgpu-Heading">{trans.__('Ended (%1)', ended.length)}</h3>
          <ul className="macgpu-List" aria-label={trans.__('Ended')}>
            {shown.map(run => (
              <Run key={run.run} run={run} isLong={isLong} {...props} />
            ))}
          </ul>
        </>
      )}
      {shown.length < ended.length && (
        <button className="macgpu-Button" onClick={() => showAll(true)}>
          {trans.__('Show all %1', ended.length)}
        </button>
      )}
    </div>
  );
}

/** Return runs as they are listed: what computes, what waits by its place, what ended last. */
export function sorted(runs: Iterable<IHeardRun>): { live: IHeardRun[]; ended: IHeardRun[] } {
  const live: IHeardRun[] = [];
  const ended: IHeardRun[] = [];
  for (const run of runs) {
    (run.final ? ended : live).push(run);
  }
  const age = (run: IHeardRun): number => (run.age ?? 0) - run.heard;
  const rank = (run: IHeardRun): number => (run.state === 'started' ? -1 : (run.place ?? 1e9));
  live.sort((a, b) => rank(a) - rank(b) || a.host.localeCompare(b.host) || age(b) - age(a));
  ended.sort((a, b) => age(a) - age(b));
  return { live, ended };
}

const Run = React.memo(RunItem, (before, after) => before.run === after.run);

function RunItem(props: IRuns & { run: IHeardRun; isLong: boolean }): React.ReactElement {
  const { run, trans } = props;
  const [isOpen, open] = React.useState(false);
  const { ref, isNear, style } = useNear(props.isLong, HEIGHT);
  const name = title(trans, run);
  return (
    <li
      ref={ref}
      style={style}
      className={`macgpu-Run macgpu-mod-${run.state}`}
      aria-label={name}
      data-row={run.run}
    >
      {isNear && <RunBody {...props} name={name} isOpen={isOpen} open={open} />}
    </li>
  );
}

function RunBody(
  props: IRuns & {
    run: IHeardRun;
    name: string;
    isOpen: boolean;
    open: (isOpen: boolean) => void;
  }
): React.ReactElement {
  const { run, name, trans, actions, isOpen, open } = props;
  const reason = reasonOf(trans, run);
  return (
    <>
      <div className="macgpu-Run-head">
        <span className="macgpu-Dot" aria-hidden="true" />
        <button
          className="macgpu-Run-name"
          aria-expanded={isOpen}
          onClick={() => open(!isOpen)}
          title={run.notebook || name}
        >
          {name}
        </button>
        {!run.final && (
          <button
            className="macgpu-Button"
            disabled={run.cancelling}
            onClick={() => void actions.cancel(run)}
            aria-label={trans.__('Cancel %1', name)}
          >
            {trans.__('Cancel')}
          </button>
        )}
      </div>
      <div className="macgpu-Run-about">
        <span>{runWord(trans, run)}</span>
        <span>{run.host}</span>
        <Elapsed run={run} trans={trans} />
        {isWaiting(run) && run.priority !== 0 && (
          <span>{trans.__('priority %1', run.priority)}</span>
        )}
      </div>
      <Line text={props.firstLine(run)} />
      {reason && <div className="macgpu-Card-reason">{reason}</div>}
      {isOpen && <Details {...props} />}
    </>
  );
}

function Line(props: { text: string }): React.ReactElement | null {
  return props.text ? <code className="macgpu-Run-line">{props.text}</code> : null;
}

function Elapsed(props: { run: IHeardRun; trans: TranslationBundle }): React.ReactElement | null {
  const { run, trans } = props;
  const seconds = useSeconds(!run.final);
  const passed = Math.max(0, seconds - run.heard);
  if (run.final) {
    return run.seconds === null ? null : <span>{time(trans, run.seconds)}</span>;
  }
  if (run.started !== null) {
    return <span>{time(trans, run.started + passed)}</span>;
  }
  if (run.wait !== null) {
    return <span>{trans.__('begins in about %1', time(trans, Math.max(1, run.wait - passed)))}</span>;
  }
  return run.age === null || isTimed(run) ? null : (
    <span>{trans.__('waits for %1', time(trans, run.age + passed))}</span>
  );
}
