import type { TranslationBundle } from '@jupyterlab/translation';

import type { IHost, IRun } from './rows';

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
