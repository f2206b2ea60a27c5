import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

/** Draw a component anew when one of these changes, at most once a frame. */
export function useChanges(...signals: ISignal<any, any>[]): void {
  const [, again] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    let frame = 0;
    const changed = (): void => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        again();
      });
    };
    signals.forEach(signal => signal.connect(changed));
    return () => {
      cancelAnimationFrame(frame);
      signals.forEach(signal => signal.disconnect(changed));
    };
  }, signals);
}

/** Draw a component anew every second while it is there. Returns the time in seconds. */
export function useSeconds(isWanted: boolean): number {
  const [seconds, tell] = React.useState(() => Date.now() / 1000);
  React.useEffect(() => {
    if (!isWanted) {
      return undefined;
    }
    const timer = window.setInterval(() => tell(Date.now() / 1000), 1000);
    return () => window.clearInterval(timer);
  }, [isWanted]);
  return seconds;
}

/**
 * Keep the focus in a list of rows: of what is not there any more, the name of its row takes it.
 */
export function useFocus(list: React.RefObject<HTMLElement>): void {
  const focused = document.activeElement;
  const held = focused && list.current?.contains(focused) ? focused : null;
  const row = held?.closest<HTMLElement>('[data-row]')?.dataset.row;
  React.useLayoutEffect(() => {
    if (held && !held.isConnected) {
      const rows = list.current?.querySelectorAll<HTMLElement>('[data-row]') ?? [];
      const found = [...rows].find(each => each.dataset.row === row);
      found?.querySelector<HTMLElement>('.macgpu-Run-name')?.focus({ preventScroll: true });
    }
  });
}
