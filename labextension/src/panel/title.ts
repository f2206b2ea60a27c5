import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRun } from '../rows';

/** Return what a run is called: by whoever began it, or by where it came from. */
export function title(trans: TranslationBundle, run: IRun): string {
  const notebook = run.notebook.split('/').pop() ?? '';
  return run.name || notebook || trans.__('Run %1', run.run.slice(0, 8));
}
