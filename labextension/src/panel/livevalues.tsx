import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { size } from '../format';
import { Refused } from '../request';
import type { IRun, IValue, IValues } from '../rows';
import type { IFleet } from '../tokens';
import { useChanges } from './changes';

/** How many values are listed before one asks for more. */
const LISTED = 6;
/** Milliseconds for which changes are gathered before the hosts are asked. */
const GATHER = 400;

export interface ILiveValues {
  fleet: IFleet;
  trans: TranslationBundle;
  panel: Pick<NotebookPanel, 'sessionContext'>;
  path: string;
  /** The notebook's runs. */
  runs: readonly IRun[];
}

/** What lives on Macs for the notebook alone, and its memory. */
export function LiveValues(props: ILiveValues): React.ReactElement | null {
  const { trans } = props;
  const [isAll, showAll] = React.useState(false);
  const found = useValues(props);
  if (found === null) {
    return null;
  }
  if (typeof found === 'string') {
    return <div className="macgpu-Card-about">{found}</div>;
  }
  const shown = isAll ? found.values : found.values.slice(0, LISTED);
  return (
    <>
      <div className="macgpu-Card-about">{summary(trans, found)}</div>
      {shown.length > 0 && (
        <ul className="macgpu-Values" aria-label={trans.__('Values that live on Macs alone')}>
          {shown.map((value, index) => (
            <li key={index}>
              <code title={value.name}>{value.name}</code>
              <span>{about(value)}</span>
            </li>
          ))}
        </ul>
      )}
      {shown.length < found.values.length && (
        <button className="macgpu-Button" onClick={() => showAll(true)}>
          {trans.__('Show all %1', found.values.length)}
        </button>
      )}
      {found.left_out > 0 && (
        <div className="macgpu-Card-about">
          {trans._n('and %1 smaller one', 'and %1 smaller ones', found.left_out)}
        </div>
      )}
      {found.unknown.map(({ host, reason }) => (
        <div key={host} className="macgpu-Card-about">
          {trans.__('Values on %1: not known (%2)', host, reason)}
        </div>
      ))}
    </>
  );
}

/** Return how many values there are, and the memory of those whose size is known. */
function summary(trans: TranslationBundle, found: IValues): string {
  const count = found.values.length + found.left_out;
  if (!count) {
    return found.unknown.length ? '' : trans.__('No value lives on a Mac alone');
  }
  const said = trans._n('%1 value lives on a Mac alone', '%1 values live on Macs alone', count);
  const bytes = found.values.reduce((sum, value) => sum + (value.size ?? 0), 0);
  return bytes ? `${said}: ${size(bytes)}` : said;
}

function about(value: IValue): string {
  const parts = [value.type, value.size === null ? '' : size(value.size), value.host];
  return parts.filter(Boolean).join(' · ');
}

/**
 * Ask for the values while somebody looks: at first, and when one of the notebook's runs or its
 * kernel has done something. Returns null while there is nothing to ask, else what came back, or why
 * nothing did.
 */
function useValues(props: ILiveValues): IValues | string | null {
  const { fleet, panel, path, runs } = props;
  const [found, tell] = React.useState<IValues | string | null>(null);
  const [rests, rest] = React.useReducer((count: number) => count + 1, 0);
  useChanges(fleet.connectionChanged);
  React.useEffect(() => {
    const { statusChanged } = panel.sessionContext;
    const changed = (_: unknown, status: Kernel.Status): void => {
      if (status === 'idle') {
        rest();
      }
    };
    statusChanged.connect(changed);
    return () => {
      statusChanged.disconnect(changed);
    };
  }, [panel]);
  const isWanted = fleet.isWatched && runs.length > 0;
  const standing = runs.map(run => `${run.run} ${run.state}`).join();
  React.useEffect(() => {
    if (!isWanted) {
      return undefined;
    }
    let isCurrent = true;
    const timer = window.setTimeout(() => {
      void fleet.requests
        .values(path)
        .catch(error => (error instanceof Refused ? error.message : String(error)))
        .then(said => isCurrent && tell(said));
    }, GATHER);
    return () => {
      isCurrent = false;
      window.clearTimeout(timer);
    };
  }, [isWanted, path, standing, rests]);
  return runs.length ? found : null;
}
