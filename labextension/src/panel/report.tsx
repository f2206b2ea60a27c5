import * as React from 'react';

import { percent, size, time } from '../format';
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

/** Return what is known of a report, in the order in which it matters. */
export function lines(
  props: Pick<IRuns, 'trans'>,
  report: Record<string, any>
): [string, string][] {
  const { trans } = props;
  const used = { ...report, ...report.usage } as Record<string, unknown>;
  const known: [string, string, (value: number) => string][] = [
    ['seconds', trans.__('Time'), value => time(trans, value)],
    ['memory_peak_bytes', trans.__('Most memory'), size],
    ['gpu_mean', trans.__('GPU, mean'), percent],
    ['gpu_peak', trans.__('GPU, most'), percent],
    ['shipped_bytes', trans.__('Sent'), size],
    ['reused_bytes', trans.__('There from before'), size],
    ['returned_bytes', trans.__('Brought back'), size]
  ];
  return known.flatMap(([key, name, show]): [string, string][] => {
    const value = used[key];
    return typeof value === 'number' ? [[name, show(value)]] : [];
  });
}
