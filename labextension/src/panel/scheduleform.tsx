import type { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';
import * as React from 'react';

import type { Actions } from '../actions';
import type { IFleet, IHeardRun } from '../tokens';
import { After, named, Priority } from './after';
import type { IAfter } from './after';
import { Choice, Form, OnMac } from './form';
import type { Sheet } from './sheet';

/** What is filled in. */
export interface IFilled {
  when: string;
  at: string;
  cron: string;
  on: string;
  parameters: string;
  output: string;
  concurrency: string;
  missed: string;
  after: IAfter;
  priority: string;
}

const EMPTY: IFilled = {
  when: 'now',
  at: '',
  cron: '0 3 * * *',
  on: '',
  parameters: '',
  output: '',
  concurrency: 'skip',
  missed: 'skip',
  after: { run: '', isAny: false },
  priority: '0'
};

/**
 * Return what the server is asked for.
 *
 * @throws SyntaxError, if the parameters are not JSON; RangeError, if the time is none.
 */
export function job(path: string, filled: IFilled, key: string): Record<string, unknown> {
  const parameters = filled.parameters.trim() ? JSON.parse(filled.parameters) : {};
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) {
    throw new SyntaxError('{"name": value}');
  }
  const { after } = filled;
  const priority = Number(filled.priority) || 0;
  return {
    path,
    on: filled.on || null,
    at: filled.when === 'at' ? new Date(filled.at).toISOString() : null,
    cron: filled.when === 'cron' ? filled.cron.trim() : null,
    parameters,
    output: filled.output.trim() || null,
    concurrency: filled.concurrency,
    missed: filled.missed,
    ...(filled.when === 'after' ? { after: [named(after.run, after.isAny)] } : {}),
    ...(priority ? { priority } : {}),
    idempotency_key: key
  };
}

/** Asks when, where and with what the whole notebook is to run. */
export function ScheduleForm(props: {
  fleet: IFleet;
  actions: Actions;
  trans: TranslationBundle;
  sheet: Sheet;
  path: string;
  firstLine: (run: IHeardRun) => string;
  /** Save the notebook: the server runs what is on its disk. */
  save: () => Promise<void>;
  /** It is done with. */
  close: () => void;
}): React.ReactElement {
  const { trans, fleet, actions, path } = props;
  const [filled, fill] = React.useState(EMPTY);
  const [problem, tell] = React.useState('');
  // The same one however often it is sent, so that it is done once.
  const key = React.useMemo(() => UUID.uuid4(), [path]);
  const set = (name: Exclude<keyof IFilled, 'after'>) => ({
    value: filled[name],
    change: (value: string) => fill({ ...filled, [name]: value })
  });
  const field = (name: Exclude<keyof IFilled, 'after'>) => ({
    className: 'macgpu-Input',
    value: filled[name],
    title: filled[name] || undefined,
    onChange: (event: { target: { value: string } }) =>
      fill({ ...filled, [name]: event.target.value })
  });
  const send = async (): Promise<void> => {
    let asked: Record<string, unknown>;
    try {
      asked = job(path, filled, key);
    } catch (error) {
      tell(
        error instanceof RangeError
          ? trans.__('Say at which time.')
          : trans.__('The parameters are not as JSON has them: %1', (error as Error).message)
      );
      return;
    }
    tell('');
    await props.save();
    if (await actions.schedule(asked)) {
      props.close();
    }
  };
  return (
    <Form
      {...props}
      name={trans.__('Run the whole notebook')}
      about={path}
      verb={filled.when === 'now' ? trans.__('Run') : trans.__('Schedule')}
      problem={problem}
      send={() => void send()}
    >
      <Choice
        label={trans.__('When')}
        options={[
          ['now', trans.__('now')],
          ['at', trans.__('at a time')],
          ['after', trans.__('after a run')],
          ['cron', trans.__('again and again')]
        ]}
        {...set('when')}
      />
      {filled.when === 'after' && (
        <After {...props} after={filled.after} change={after => fill({ ...filled, after })} />
      )}
      {filled.when === 'at' && (
        <label>
          {trans.__('Time')}
          <input type="datetime-local" {...field('at')} />
        </label>
      )}
      {filled.when === 'cron' && (
        <label title={trans.__('minute, hour, day, month, day of the week')}>
          {trans.__('Cron')}
          <input type="text" {...field('cron')} />
        </label>
      )}
      <OnMac
        trans={trans}
        any={trans.__('Any Mac')}
        names={fleet.hosts.keys()}
        {...set('on')}
      />
      <Priority trans={trans} {...set('priority')} />
      <label>
        {trans.__('Parameters')}
        <input type="text" placeholder='{"epochs": 10}' {...field('parameters')} />
      </label>
      <label>
        {trans.__('Write to')}
        <input type="text" placeholder={trans.__('beside the notebook')} {...field('output')} />
      </label>
      {filled.when === 'cron' && (
        <Choice
          label={trans.__('If one still runs')}
          options={[
            ['skip', trans.__('leave the next out')],
            ['queue', trans.__('run the next after it')]
          ]}
          {...set('concurrency')}
        />
      )}
      {(filled.when === 'at' || filled.when === 'cron') && (
        <Choice
          label={trans.__('If the server was off')}
          options={[
            ['skip', trans.__('leave it out')],
            ['once', trans.__('run it once, when it is back')]
          ]}
          {...set('missed')}
        />
      )}
      <Off trans={trans} when={filled.when} />
    </Form>
  );
}

/** Says what it means that this server, and not a Mac, begins what is not begun now. */
function Off(props: { trans: TranslationBundle; when: string }): React.ReactElement | null {
  const { trans, when } = props;
  if (when === 'now') {
    return null;
  }
  return (
    <p className="macgpu-Card-about">
      {when === 'after'
        ? trans.__(
            'This Jupyter server begins it. If the server is off by then, it begins when the server is back.'
          )
        : trans.__(
            'The times are those of this Jupyter server. While it is off nothing begins; what has begun on a Mac goes on.'
          )}
    </p>
  );
}
