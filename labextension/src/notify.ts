import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { title } from './panel/title';
import type { IFleet, IWork } from './tokens';
import { runWord } from './words';

/** Milliseconds for which the end of a run can be read. */
const READ = 10000;

/** Say that a run has ended, unless its notebook is in front, and what went wrong unasked. */
export function announce(fleet: IFleet, work: IWork, trans: TranslationBundle): void {
  fleet.ended.connect((_, run) => {
    if (!work.settings.notifyWhenDone || work.visits.isSeen(run) || run.moved.run) {
      return;
    }
    const text = trans.__('%1: %2', title(trans, run), runWord(trans, run));
    const actions = run.notebook
      ? [{ label: trans.__('Show'), callback: () => void work.visits.go(run) }]
      : [];
    if (run.state === 'ok') {
      Notification.success(text, { actions, autoClose: READ });
    } else {
      Notification.warning(text, { actions, autoClose: false });
    }
  }, fleet);
  fleet.troubled.connect((_, trouble) => {
    const said = [trouble.message, trouble.reason, trouble.hint].filter(Boolean);
    Notification.warning(said.join(' '), { autoClose: READ });
  }, fleet);
}
