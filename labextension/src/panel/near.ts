import * as React from 'react';

/** How far outside of what one sees a row is drawn already. */
const MARGIN = '600px';
/** How many rows a list has before only those are drawn that one may see. */
export const LONG = 150;

const told = new WeakMap<Element, (entry: IntersectionObserverEntry) => void>();
let observer: IntersectionObserver | null = null;

/** A row of a long list: whether it is to be drawn, and what stands there if not. */
export interface INear {
  ref: React.RefObject<HTMLLIElement>;
  isNear: boolean;
  style: React.CSSProperties | undefined;
}

/**
 * Say of a row whether one may see it. One that has the focus stays.
 *
 * @param isLong Whether the list is long; in a short one every row is drawn.
 * @param usual How high a row is taken to be before it was drawn, in pixels.
 */
export function useNear(isLong: boolean, usual: number): INear {
  const isAsked = isLong && typeof IntersectionObserver !== 'undefined';
  const ref = React.useRef<HTMLLIElement>(null);
  const height = React.useRef(usual);
  const [isNear, tell] = React.useState(!isAsked);
  React.useEffect(() => {
    const row = ref.current;
    if (!isAsked || !row) {
      return undefined;
    }
    told.set(row, entry => {
      if (entry.isIntersecting) {
        tell(true);
      } else if (!row.contains(document.activeElement)) {
        height.current = entry.boundingClientRect.height || height.current;
        tell(false);
      }
    });
    watch().observe(row);
    return () => watch().unobserve(row);
  }, [isAsked]);
  return { ref, isNear, style: isNear ? undefined : { height: height.current } };
}

function watch(): IntersectionObserver {
  // The margin of what scrolls; browsers that know it not draw a row when it comes into sight.
  const options = { scrollMargin: MARGIN, rootMargin: MARGIN } as IntersectionObserverInit;
  observer ??= new IntersectionObserver(
    entries => entries.forEach(entry => told.get(entry.target)?.(entry)),
    options
  );
  return observer;
}
