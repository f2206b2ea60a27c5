import { CodeCell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { OutputArea } from '@jupyterlab/outputarea';

import { say } from './choices';

const MAGIC = /^\s*%%macgpu\b(.*)/;

/** Return a cell's text as the kernel gets it for a run that goes on by itself. */
export function detached(source: string): string {
  const found = MAGIC.exec(source);
  if (!found) {
    return `%%macgpu --detach\n${source}`;
  }
  if (/\s--detach\b/.test(found[1])) {
    return source;
  }
  return source.replace(MAGIC, (_line, rest: string) => `%%macgpu --detach${rest}`);
}

/**
 * Hand a notebook's selected cell to a Mac. Its kernel reads the variables and hands it in, and is
 * free at once; what the run shows comes into the cell as it is shown. The cell's text stays as it is.
 *
 * Returns what went wrong, if anything did.
 */
export async function runCell(panel: NotebookPanel): Promise<string> {
  const { sessionContext, content } = panel;
  const cell = content.activeCell;
  await sessionContext.ready;
  const kernel = sessionContext.session?.kernel;
  if (!(cell instanceof CodeCell) || !kernel) {
    return '';
  }
  const model = cell.model;
  const source = model.sharedModel.getSource();
  if (!source.trim()) {
    return '';
  }
  model.sharedModel.transact(() => {
    model.clearExecution();
    cell.outputHidden = false;
  }, false);
  model.trusted = true;
  cell.setPrompt('*');
  const problem = await say(kernel, '');
  if (problem) {
    cell.setPrompt('');
    return problem;
  }
  const metadata = { ...model.metadata, cellId: model.sharedModel.getId() };
  const reply = await OutputArea.execute(
    detached(source),
    cell.outputArea,
    sessionContext,
    metadata
  );
  const count = reply?.content.execution_count ?? null;
  model.executionCount = count;
  cell.setPrompt(`${count ?? ''}`);
  return '';
}
