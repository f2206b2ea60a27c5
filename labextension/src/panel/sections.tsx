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
import type { Sheet } from './sheet';
import { ThisNotebook } from './thisnotebook';

/** Return the sections of the panel, from above to below. */
export function sections(
  fleet: IFleet,
  work: IWork,
  trans: TranslationBundle,
  sheet: Sheet
): Section[] {
  const shared = { fleet, trans, ...work };
  return [
    new Section(trans.__('This notebook'), () => <ThisNotebook {...shared} sheet={sheet} />),
    new Section(trans.__('Macs'), () => <Chosen {...shared} />),
    new Section(trans.__('Runs'), () => <AllRuns {...shared} />),
    new Section(trans.__('Schedules'), () => (
      <Schedules {...shared} open={path => void work.visits.open(path)} />
    ))
  ];
}

/** The runs, with what the notebook in front can do with them. */
function AllRuns(props: IWork & { fleet: IFleet; trans: TranslationBundle }): React.ReactElement {
  const { choices, visits, runCell } = props;
  useChanges(choices.changed);
  return (
    <Runs
      {...props}
      goTo={run => void visits.go(run)}
      firstLine={run => visits.firstLine(run)}
      follow={choices.current ? runCell : null}
    />
  );
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
