import * as React from 'react';

const WIDTH = 120;
const HEIGHT = 24;

/** Return the points of a curve of shares; where one is unknown the curve has a gap. */
export function segments(values: readonly (number | null)[], moments: number): string[] {
  const found: string[][] = [[]];
  const step = WIDTH / Math.max(1, moments - 1);
  values.forEach((value, index) => {
    if (value === null) {
      found.push([]);
      return;
    }
    const x = WIDTH - (values.length - 1 - index) * step;
    const y = HEIGHT - 1 - Math.min(1, Math.max(0, value)) * (HEIGHT - 2);
    found[found.length - 1].push(`${x.toFixed(1)},${y.toFixed(1)}`);
  });
  return found.filter(points => points.length > 1).map(points => points.join(' '));
}

/** A curve without axes. What it shows is beside it in words. */
export function Sparkline(props: {
  values: readonly (number | null)[];
  moments: number;
}): React.ReactElement {
  return (
    <svg
      className="macgpu-Sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {segments(props.values, props.moments).map((points, index) => (
        <polyline key={index} points={points} />
      ))}
    </svg>
  );
}
