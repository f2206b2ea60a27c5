import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { CodeCell } from '@jupyterlab/cells';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import { fleetIcon, runIcon } from './icons';
import { runCell } from './runcell';
import type { IHow } from './runcell';

/** The commands of this extension. */
export const CommandIDs = {
  showPanel: 'macgpu:show-panel',
  runCell: 'macgpu:run-cell'
} as const;

/** No arguments. */
const NONE = { args: { type: 'object', properties: {} } } as const;

/** How the selected cell is to run. */
const HOW = {
  args: {
    type: 'object',
    properties: {
      after: {
        type: 'string',
        description: 'The id of the run that goes before, behind "any:" if it need not end well.'
      },
      priority: { type: 'integer', description: 'From -5 to 5; 0 is that of everybody.' },
      on: { type: 'string', description: 'A Mac; else what the notebook has chosen.' }
    }
  }
} as const;

/** Add the commands. */
export function addCommands(
  app: JupyterFrontEnd,
  trans: TranslationBundle,
  tracker: INotebookTracker | null
): void {
  const { commands } = app;
  commands.addCommand(CommandIDs.showPanel, {
    label: trans.__('Macs and Their Runs'),
    caption: trans.__('Show the panel with the fleet'),
    icon: fleetIcon,
    describedBy: NONE,
    execute: () => app.shell.activateById('macgpu-panel')
  });
  if (!tracker) {
    return;
  }
  commands.addCommand(CommandIDs.runCell, {
    label: trans.__('Run Selected Cell on a Mac'),
    caption: trans.__('Run this cell on a Mac; the kernel is free meanwhile'),
    icon: runIcon,
    describedBy: HOW,
    isEnabled: () => tracker.activeCell instanceof CodeCell,
    isVisible: () => tracker.activeCell instanceof CodeCell,
    execute: async args => {
      const panel = tracker.currentWidget;
      const problem = panel ? await runCell(panel, args as IHow) : '';
      if (problem) {
        Notification.error(trans.__('The cell was not run. %1', problem));
      }
    }
  });
  tracker.activeCellChanged.connect(() => {
    commands.notifyCommandChanged(CommandIDs.runCell);
  }, app);
}
