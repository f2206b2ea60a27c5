import type { IRunningSessionManagers, IRunningSessions } from '@jupyterlab/running';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import type { Actions } from './actions';
import { runIcon } from './icons';
import { title } from './panel/title';
import type { IFleet, IHeardRun } from './tokens';
import { runWord } from './words';

/** Lists runs that are under way with the kernels and terminals. */
export function addRunning(
  managers: IRunningSessionManagers,
  fleet: IFleet,
  actions: Actions,
  trans: TranslationBundle,
  goTo: (run: IHeardRun) => void
): IDisposable {
  const live = (): IHeardRun[] => [...fleet.runs.values()].filter(run => !run.final);
  const item = (run: IHeardRun): IRunningSessions.IRunningItem => ({
    open: () => goTo(run),
    shutdown: () => void actions.cancel(run),
    icon: () => runIcon,
    label: () => title(trans, run),
    labelTitle: () => run.notebook,
    detail: () => `${run.host}: ${runWord(trans, run)}`
  });
  return managers.add({
    name: trans.__('Runs on Macs'),
    running: () => live().map(item),
    shutdownAll: () => live().forEach(run => void actions.cancel(run)),
    refreshRunning: () => undefined,
    runningChanged: fleet.runsChanged,
    shutdownLabel: trans.__('Cancel'),
    shutdownAllLabel: trans.__('Cancel All'),
    shutdownAllConfirmationText: trans.__('Cancel all runs that are under way?')
  });
}
