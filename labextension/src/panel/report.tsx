import * as React from 'react';

import { size, time } from '../format';
import { Refused } from '../request';
import type { IHeardRun } from '../tokens';
import type { IRuns } from './runs';

/** What a run has cost, as its host says when one asks. */
export function Report(props: IRuns & { run: IHeardRun }): React.ReactElement {
  const { run, trans, fleet } = props;
  const [found, tell] = React.useState<Record<string, any> | string | null>(null);
  React.useEffect(() => {
    let isWanted = true;
    void fleet.requests
      .ask<Record<string, any>>('GET', `runs/${run.run}/report`)
      .catch(error => (error instanceof Refused ? error.message : String(error)))
      .then(said => isWanted && tell(said));
    return () => {
      isWanted = false;
    };
  }, [run.run]);
  if (found === null) {
    return <div className="macgpu-Card-about">{trans.__('Asking its host…')}</div>;
  }
  if (typeof found === 'string') {
    return <div className="macgpu-Card-about">{found}</div>;
  }
  return (
    <dl className="macgpu-Report">
      {lines(props, found).map(([name, value]) => (
        <React.Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}

function lines(props: IRuns, report: Record<string, any>): [string, string][] {
  const { trans } = props;
  const number = (key: string): number | null =>
    typeof report[key] === 'number' ? (report[key] as number) : null;
  const known: [string, string, boolean][] = [
    [trans.__('Time'), time(trans, number('seconds')), number('seconds') !== null],
    [trans.__('Most memory'), size(number('memory_peak')), number('memory_peak') !== null]
  ];
  return known.filter(([, , isKnown]) => isKnown).map(([name, value]) => [name, value]);
}
