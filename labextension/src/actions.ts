import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { Refused } from './request';
import type { IHost, IRun, ISchedule } from './rows';
import type { IFleet } from './tokens';

/** Milliseconds for which a refusal can be read. */
const READ = 12000;

/** What people do with hosts and runs. What is refused is said, and nothing else happens. */
export class Actions {
  constructor(
    private _fleet: IFleet,
    private _trans: TranslationBundle
  ) {}

  /** Whether to ask before a run that computes is cancelled. */
  asksBeforeCancel = true;

  /** Look at a host now. */
  async ask(host: IHost): Promise<void> {
    await this._try(async () => {
      this._fleet.noteHost(await this._fleet.requests.host<IHost>(host.name, 'ask'));
    });
  }

  /** Let a host take nothing new, or take runs again. */
  async drain(host: IHost, isDrained: boolean): Promise<void> {
    await this._try(async () => {
      const verb = isDrained ? 'drain' : 'undrain';
      this._fleet.noteHost(await this._fleet.requests.host<IHost>(host.name, verb));
    });
  }

  /** Stop a run; what computes is asked about first. */
  async cancel(run: IRun): Promise<void> {
    if (run.state === 'started' && this.asksBeforeCancel) {
      const trans = this._trans;
      const answer = await showDialog({
        title: trans.__('Cancel this run?'),
        body: trans.__('It is running on %1. What it has shown so far is kept.', run.host),
        buttons: [
          Dialog.cancelButton({ label: trans.__('Let it run') }),
          Dialog.warnButton({ label: trans.__('Cancel the run') })
        ]
      });
      if (!answer.button.accept) {
        return;
      }
    }
    await this._try(async () => {
      const row = await this._fleet.requests.run<IRun>(run.run, 'cancel', { kill: false });
      this._fleet.note({ ...row, cancelling: !row.final });
    });
  }

  /** Let a waiting run go before others, or after them. */
  async prioritise(run: IRun, priority: number): Promise<void> {
    await this._try(async () => {
      this._fleet.note(await this._fleet.requests.run<IRun>(run.run, 'priority', { priority }));
    });
  }

  /** Take a waiting run to another host; null is whichever suits it best. */
  async move(run: IRun, to: string | null): Promise<void> {
    await this._try(async () => {
      const moved = await this._fleet.requests.run<{ from: string; to: string }>(run.run, 'move', {
        to
      });
      Notification.success(this._trans.__('Moved from %1 to %2.', moved.from, moved.to));
    });
  }

  /** Have an ended run forgotten, with what it left. */
  async remove(run: IRun): Promise<void> {
    await this._try(async () => {
      await this._fleet.requests.ask('DELETE', `runs/${run.run}`);
      this._fleet.forget(run.run);
    });
  }

  /**
   * Have the server run a notebook by itself. Returns whether it will.
   *
   * @param job What `POST jobs` takes.
   */
  async schedule(job: Record<string, unknown>): Promise<boolean> {
    let isTaken = false;
    await this._try(async () => {
      await this._fleet.requests.ask<ISchedule>('POST', 'jobs', job);
      isTaken = true;
    });
    return isTaken;
  }

  /** Do something with a schedule: `pause`, `resume`, `run` or `cancel`. */
  async change(schedule: ISchedule, verb: string): Promise<void> {
    await this._try(async () => {
      await this._fleet.requests.ask('POST', `schedules/${schedule.id}/${verb}`, {});
    });
  }

  /** Forget a schedule. What it has written stays. */
  async unschedule(schedule: ISchedule): Promise<void> {
    await this._try(async () => {
      await this._fleet.requests.ask('DELETE', `schedules/${schedule.id}`);
    });
  }

  /** Say what went wrong, in the words of whoever refused. */
  tell(error: unknown): void {
    const said =
      error instanceof Refused
        ? [error.message, error.reason, error.hint]
        : [String((error as Error)?.message ?? error)];
    Notification.error(said.filter(Boolean).join(' '), { autoClose: READ });
  }

  private async _try(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.tell(error);
    }
  }
}
