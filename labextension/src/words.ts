import type { TranslationBundle } from '@jupyterlab/translation';

import { clock } from './format';
import type { IEnd, IHost, IRun, ISchedule } from './rows';

/** Return a host's state in a word. */
export function hostWord(trans: TranslationBundle, host: IHost): string {
  switch (host.state) {
    case 'ready':
      return trans.__('ready');
    case 'busy':
      return trans.__('busy');
    case 'draining':
      return trans.__('draining');
    case 'slow':
      return trans.__('slow to answer');
    case 'asleep':
      return trans.__('asleep');
    case 'unreachable':
      return trans.__('unreachable');
    case 'refused':
      return trans.__('refused us');
    case 'unusable':
      return trans.__('unusable');
    default:
      return trans.__('not asked yet');
  }
}

/** Why a run waits whose time is still to come, as its host says it. */
const NOT_YET = 'its time has not come';

/** Say whether a run waits for its time. Its host's clock may be another one: its word counts. */
export function isTimed(run: IRun): boolean {
  const isToCome = run.reason === NOT_YET || (run.at ?? 0) > Date.now() / 1000;
  return run.at !== null && isWaiting(run) && isToCome;
}

/** Return what holds a run up, in a sentence; empty if nothing does. */
export function reasonOf(trans: TranslationBundle, run: IRun): string {
  return isTimed(run) && run.reason === NOT_YET
    ? trans.__('or at the next contact if its host is asleep or off then')
    : run.reason;
}

/** Return how a run stands, in a few words. */
export function runWord(trans: TranslationBundle, run: IRun): string {
  if (run.cancelling) {
    return trans.__('cancelling…');
  }
  switch (run.state) {
    case 'receiving':
      return trans.__('on its way');
    case 'accepted':
    case 'queued':
      if (isTimed(run)) {
        return trans.__('starts at %1', clock(run.at ?? 0));
      }
      return run.place ? trans.__('place %1 in the queue', run.place) : trans.__('waiting');
    case 'started':
      return trans.__('running');
    case 'ok':
      return trans.__('done');
    case 'error':
      return trans.__('ended with an error');
    case 'cancelled':
      return run.moved.host ? trans.__('moved to %1', run.moved.host) : trans.__('cancelled');
    case 'died':
      return trans.__('its process died');
    case 'lost':
      return trans.__('lost');
    default:
      return run.state;
  }
}

/** Say whether a run waits: it can be moved, and its priority changed. */
export function isWaiting(run: IRun): boolean {
  return !run.final && run.state !== 'started';
}

/** Say whether a host can take a run, if perhaps later. */
export function takesRuns(host: IHost): boolean {
  return host.state === 'ready' || host.state === 'busy' || host.state === 'slow';
}

/** Return how a notebook that the server ran has ended. */
export function endWord(trans: TranslationBundle, end: IEnd): string {
  switch (end.state) {
    case 'ok':
      return trans.__('done');
    case 'error':
      return trans.__('ended with an error');
    case 'cancelled':
      return trans.__('cancelled');
    case 'died':
      return trans.__('its process died');
    case 'lost':
      return trans.__('lost');
    case 'missed':
      return trans.__('missed, as the server was off');
    case 'skipped':
      return trans.__('left out, as the one before still ran');
    case 'interrupted':
      return trans.__('cut short, as the server ended');
  }
}

/** Return how a schedule stands. */
export function scheduleWord(trans: TranslationBundle, schedule: ISchedule): string {
  switch (schedule.state) {
    case 'running':
      return schedule.now
        ? trans.__('cell %1 of %2', schedule.now.cell, schedule.now.cells)
        : trans.__('running');
    case 'paused':
      return trans.__('paused');
    case 'done':
      return schedule.last ? endWord(trans, schedule.last) : trans.__('done');
    default:
      return trans.__('waiting');
  }
}
