import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Picker } from '../devicepicker';
import type { IFleet, IHeardRun, IWork } from '../tokens';
import { CellForm } from './cellform';
import { useChanges } from './changes';
import { LiveValues } from './livevalues';
import { ScheduleForm } from './scheduleform';
import type { Sheet } from './sheet';

/** Where the cells of the notebook in front run, and what runs of it. */
export function ThisNotebook(
  props: IWork & { fleet: IFleet; trans: TranslationBundle; sheet: Sheet }
): React.ReactElement {
  const { fleet, trans, choices } = props;
  const [form, open] = React.useState<'' | 'cell' | 'notebook'>('');
  useChanges(choices.changed, fleet.runsChanged, fleet.hostsChanged);
  const panel = choices.current;
  if (!panel) {
    return <div className="macgpu-Notice">{trans.__('No notebook is open.')}</div>;
  }
  const path = panel.context.path.replace(/^RTC:/, '');
  const runs = [...fleet.runs.values()].filter(run => run.notebook === path);
  const live = runs.filter(run => !run.final);
  const firstLine = (run: IHeardRun): string => props.visits.firstLine(run);
  return (
    <div>
      <div className="macgpu-Card-name" title={path}>
        {path.split('/').pop()}
      </div>
      <label className="macgpu-Row">
        {trans.__('Runs on')}
        <Picker {...props} panel={panel} look={() => undefined} />
      </label>
      <div className="macgpu-Card-about">
        {live.length
          ? trans._n('%1 run under way', '%1 runs under way', live.length)
          : trans.__('No run under way')}
      </div>
      <LiveValues {...props} key={path} panel={panel} path={path} runs={runs} />
      <div className="macgpu-Buttons">
        <button className="macgpu-Button" onClick={() => open('cell')}>
          {trans.__('Run the selected cell…')}
        </button>
        <button className="macgpu-Button" onClick={() => open('notebook')}>
          {trans.__('Run the whole notebook…')}
        </button>
      </div>
      {form === 'cell' && (
        <CellForm
          {...props}
          key={path}
          panel={panel}
          firstLine={firstLine}
          close={() => open('')}
        />
      )}
      {form === 'notebook' && (
        <ScheduleForm
          {...props}
          key={path}
          path={path}
          firstLine={firstLine}
          save={() => panel.context.save()}
          close={() => open('')}
        />
      )}
    </div>
  );
}
