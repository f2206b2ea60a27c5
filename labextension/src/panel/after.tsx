import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IFleet, IHeardRun } from '../tokens';
import { runWord } from '../words';
import { Choice } from './form';
import type { Option } from './form';
import { title } from './title';

/** What a priority may be. */
export const LEAST = -5;
export const MOST = 5;
/** Characters of a cell's first line that a choice shows. */
const LINE = 40;

/** A run that is to go before. */
export interface IAfter {
  /** Its id; empty if none was chosen. */
  run: string;
  /** Whether it need not end well. */
  isAny: boolean;
}

/** Return a run as `--after` and the server half name it. */
export function named(run: string, isAny: boolean): string {
  return isAny ? `any:${run}` : run;
}

/** Asks after which of the runs that are under way something is to begin. */
export function After(props: {
  fleet: IFleet;
  trans: TranslationBundle;
  firstLine: (run: IHeardRun) => string;
  after: IAfter;
  change: (after: IAfter) => void;
}): React.ReactElement {
  const { fleet, trans, after, change } = props;
  const runs = [...fleet.runs.values()].filter(run => !run.final || run.run === after.run);
  const text = (run: IHeardRun): string => {
    const line = props.firstLine(run).slice(0, LINE);
    const name = line ? `${title(trans, run)}: ${line}` : title(trans, run);
    return `${name} (${run.host}, ${runWord(trans, run)})`;
  };
  return (
    <>
      <Choice
        label={trans.__('After')}
        empty={runs.length ? trans.__('choose…') : trans.__('none is under way')}
        options={runs.map((run): Option => [run.run, text(run)])}
        value={after.run}
        change={run => change({ ...after, run })}
      />
      <AnyEnd trans={trans} isAny={after.isAny} change={isAny => change({ ...after, isAny })} />
    </>
  );
}

/** Asks whether what goes before must end well. */
export function AnyEnd(props: {
  trans: TranslationBundle;
  isAny: boolean;
  change: (isAny: boolean) => void;
}): React.ReactElement {
  return (
    <label className="macgpu-Check">
      <input
        type="checkbox"
        checked={props.isAny}
        onChange={event => props.change(event.target.checked)}
      />
      {props.trans.__('also if that does not end well')}
    </label>
  );
}

/** Asks for a priority. */
export function Priority(props: {
  trans: TranslationBundle;
  value: string;
  change: (value: string) => void;
}): React.ReactElement {
  const { trans } = props;
  return (
    <label title={trans.__('From %1 to %2; higher ones go before others', LEAST, MOST)}>
      {trans.__('Priority')}
      <input
        className="macgpu-Input"
        type="number"
        min={LEAST}
        max={MOST}
        step={1}
        value={props.value}
        onChange={event => props.change(event.target.value)}
      />
    </label>
  );
}
