import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';

import type { IRun } from './rows';

/** Shows what a run belongs to. */
export class Visits {
  constructor(
    private _commands: CommandRegistry,
    private _tracker: INotebookTracker | null
  ) {}

  /** Say whether a run's notebook is in front of who sits here. */
  isSeen(run: IRun): boolean {
    const path = this._tracker?.currentWidget?.context.path;
    return document.visibilityState === 'visible' && isOf(run, path) && this._isShown();
  }

  /** Return the first line of a run's cell where its notebook is open; empty elsewhere. */
  firstLine(run: IRun): string {
    const panel = this._tracker?.find(each => isOf(run, each.context.path));
    for (const cell of panel?.content.model?.cells ?? []) {
      if (cell.id === run.cell) {
        return first(cell.sharedModel.getSource());
      }
    }
    return '';
  }

  /** Open a run's notebook, and show its cell. */
  async go(run: IRun): Promise<void> {
    if (!run.notebook) {
      return;
    }
    const opened = await this.open(run.notebook);
    await opened?.context?.ready;
    const content = opened?.content;
    const index = content?.widgets?.findIndex(cell => cell.model.id === run.cell) ?? -1;
    if (content && index >= 0) {
      content.deselectAll();
      content.activeCellIndex = index;
      await content.scrollToItem(index, 'smart');
    }
  }

  /** Open a notebook. */
  async open(path: string): Promise<NotebookPanel | undefined> {
    return this._commands.execute('docmanager:open', { path }) as Promise<
      NotebookPanel | undefined
    >;
  }

  private _isShown(): boolean {
    return this._tracker?.currentWidget?.isVisible ?? false;
  }
}

/** Return the first line of a cell's text that says something. */
export function first(source: string): string {
  const lines = source.split('\n');
  return lines.find(line => line.trim() && !line.startsWith('%%'))?.trim() ?? '';
}

function isOf(run: IRun, path: string | undefined): boolean {
  return path !== undefined && run.notebook !== '' && path.replace(/^RTC:/, '') === run.notebook;
}
