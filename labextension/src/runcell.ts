import { CodeCell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { OutputArea } from '@jupyterlab/outputarea';

import { say } from './choices';

const MAGIC = /^\s*%%macgpu\b(.*)/;
/** A run, as `--after` takes it. */
const AFTER = /^(any:)?[0-9a-f]{32}$/;
/** A time, in UTC, as `--at` takes it. */
const AT = /^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/;
/** The name of a host. */
const HOST = /^[A-Za-z0-9][\w.-]*$/;

/** What one may choose for a cell beyond its text. */
export interface IHow {
  /** The run that goes before: its id, behind `any:` if it need not end well. */
  after?: string;
  /** When it starts; see `moment`. */
  at?: string;
  /** From -5 to 5; 0 is that of everybody. */
  priority?: number;
  /** A host; nothing is what the notebook has chosen. */
  on?: string;
}

/**
 * Return a time of the browser's clock, as a form has it, in UTC: the kernel may be elsewhere.
 * Returns nothing for what is no time.
 */
export function moment(local: string): string {
  const at = new Date(local);
  return Number.isNaN(at.getTime()) ? '' : `${at.toISOString().slice(0, 16)}Z`;
}

/**
 * Return what stands in a magic's line for a choice. IPython computes what is in braces or behind a
 * dollar sign there, so that only what can be nothing of the kind is taken.
 */
export function words(how: IHow): string {
  const { after = '', at = '', priority = 0, on = '' } = how;
  const said = [
    AFTER.test(after) ? ` --after ${after}` : '',
    AT.test(at) ? ` --at ${at}` : '',
    Number.isInteger(priority) && priority !== 0 ? ` --priority ${priority}` : '',
    HOST.test(on) ? ` --on ${on}` : ''
  ];
  return said.join('');
}

/** Return a cell's text as the kernel gets it for a run that goes on by itself. */
export function detached(source: string, how: IHow = {}): string {
  const more = words(how);
  const found = MAGIC.exec(source);
  if (!found) {
    return `%%macgpu --detach${more}\n${source}`;
  }
  const detach = /\s--detach\b/.test(found[1]) ? '' : ' --detach';
  return source.replace(MAGIC, (_line, rest: string) => `%%macgpu${detach}${more}${rest}`);
}

/**
 * Hand a notebook's selected cell to a Mac. Its kernel reads the variables and hands it in, and is
 * free at once; what the run shows comes into the cell as it is shown. The cell's text stays as it is.
 *
 * Returns what went wrong, if anything did.
 */
export async function runCell(panel: NotebookPanel, how: IHow = {}): Promise<string> {
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
  const metadata = {
    ...model.metadata,
    cellId: model.sharedModel.getId(),
    // The kernel counts the lines that the user sees.
    macgpuBare: !MAGIC.test(source)
  };
  const reply = await OutputArea.execute(
    detached(source, how),
    cell.outputArea,
    sessionContext,
    metadata
  );
  const count = reply?.content.execution_count ?? null;
  model.executionCount = count;
  cell.setPrompt(`${count ?? ''}`);
  return '';
}
