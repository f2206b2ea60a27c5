/** Seconds before a lost connection is made anew: at first, and at most. */
const SOON = 0.5;
const LATER = 15;

/** How long to wait before the next try: twice as long each time, and never quite when others do. */
export class Backoff {
  constructor(private _random: () => number = Math.random) {}

  /** Return the seconds before the next try. */
  next(): number {
    const whole = Math.min(LATER, SOON * 2 ** this._tries);
    this._tries += 1;
    return whole * (0.5 + this._random() / 2);
  }

  /** Begin anew: a connection stood. */
  reset(): void {
    this._tries = 0;
  }

  private _tries = 0;
}
