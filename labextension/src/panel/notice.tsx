import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IFleet } from '../tokens';

/** What stands in the panel's place, or over it, while all is not well. */
export function Notice(props: {
  fleet: IFleet;
  trans: TranslationBundle;
  version: string;
}): React.ReactElement | null {
  const { fleet, trans } = props;
  switch (fleet.connection) {
    case 'idle':
    case 'connecting':
      return <Lines isBusy title={trans.__('Asking the server about the fleet…')} />;
    case 'reconnecting':
      return (
        <Lines isBusy title={trans.__('Not connected')}>
          <p>
            {trans.__(
              'The Jupyter server does not answer. Runs go on, on their Macs. Trying again…'
            )}
          </p>
        </Lines>
      );
    case 'missing':
      return (
        <Lines title={trans.__('The server half is missing')}>
          <p>
            {trans.__(
              'This Jupyter server has no jupyter-macgpu, or it is switched off. Install it where the server runs, and start the server again:'
            )}
          </p>
          <Code>pip install jupyter-macgpu</Code>
          <Code>jupyter server extension enable jupyter_macgpu</Code>
        </Lines>
      );
    case 'mismatch':
      return (
        <Lines title={trans.__('Two versions that do not fit')}>
          <p>
            {trans.__(
              'The page is of version %1, the server of %2. Install the same one on the server, start it again, and load the page anew:',
              props.version,
              fleet.version || '?'
            )}
          </p>
          <Code>pip install --upgrade jupyter-macgpu</Code>
        </Lines>
      );
    case 'forbidden':
      return (
        <Lines title={trans.__('Not allowed')}>
          <p>
            {trans.__(
              'This server does not let you see the fleet. Ask whoever runs it for the right to read "macgpu".'
            )}
          </p>
        </Lines>
      );
    case 'connected':
      return fleet.isKnown ? null : (
        <Lines isBusy title={trans.__('Asking the server about the fleet…')} />
      );
  }
}

/** What stands where the Macs would be while there is none. */
export function NoMacs(props: {
  trans: TranslationBundle;
  problems: readonly string[];
}): React.ReactElement {
  const { trans, problems } = props;
  if (problems.length) {
    return <Problems trans={trans} problems={problems} />;
  }
  return (
    <Lines title={trans.__('No Mac yet')}>
      <p>{trans.__('Add one that you can reach by SSH, in a terminal:')}</p>
      <Code>macgpu add studio.local</Code>
      <p>{trans.__('Or find those in this network, or try it all without one:')}</p>
      <Code>macgpu discover</Code>
      <Code>macgpu demo --fleet 3</Code>
    </Lines>
  );
}

/** What is wrong with the fleet files. */
export function Problems(props: {
  trans: TranslationBundle;
  problems: readonly string[];
}): React.ReactElement | null {
  if (!props.problems.length) {
    return null;
  }
  return (
    <Lines title={props.trans.__('The fleet file has errors')}>
      {props.problems.map(problem => (
        <p key={problem}>{problem}</p>
      ))}
    </Lines>
  );
}

function Lines(props: {
  title: string;
  isBusy?: boolean;
  children?: React.ReactNode;
}): React.ReactElement {
  return (
    <div className="macgpu-Notice" role="status" aria-busy={props.isBusy || undefined}>
      <strong>{props.title}</strong>
      {props.children}
    </div>
  );
}

function Code(props: { children: string }): React.ReactElement {
  return <code className="macgpu-Code">{props.children}</code>;
}
