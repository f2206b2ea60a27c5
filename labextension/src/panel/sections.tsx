import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { AUTO } from '../choices';
import { MOMENTS } from '../model';
import type { IFleet, IWork } from '../tokens';
import { VERSION } from '../version';
import { useChanges } from './changes';
import { Macs } from './macs';
import { Runs } from './runs';
import { Schedules } from './schedules';
import { Section } from './section';
import { ThisNotebook } from './thisnotebook';

/** Return the sections of the panel, from above to below. */
export function sections(fleet: IFleet, work: IWork, trans: TranslationBundle): Section[] {
  const shared = { fleet, trans, ...work };
  return [
    new Section(trans.__('This notebook'), () => <ThisNotebook {...shared} />),
    new Section(trans.__('Macs'), () => <Chosen {...shared} />),
    new Section(trans.__('Runs'), () => (
      <Runs
        {...shared}
        goTo={run => void work.visits.go(run)}
        firstLine={run => work.visits.firstLine(run)}
      />
    )),
    new Section(trans.__('Schedules'), () => (
      <Schedules {...shared} open={path => void work.visits.open(path)} />
    ))
  ];
}

/** The Macs, with what the notebook in front has chosen. */
function Chosen(props: IWork & { fleet: IFleet; trans: TranslationBundle }): React.ReactElement {
  const { choices } = props;
  useChanges(choices.changed);
  const panel = choices.current;
  const on = choices.on(panel);
  return (
    <Macs
      {...props}
      version={VERSION}
      moments={MOMENTS}
      chosen={on === AUTO ? '' : on}
      choose={panel ? name => choices.choose(panel, name) : null}
    />
  );
}
