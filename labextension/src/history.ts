/** The last values of something, and no more than that many. */
export class History {
  constructor(private _size: number) {}

  /** Add a value; the oldest one goes when there are too many. */
  add(value: number | null): void {
    this._values.push(value);
    if (this._values.length > this._size) {
      this._values.splice(0, this._values.length - this._size);
    }
  }

  /** The values, oldest first; null where none was known. */
  get values(): readonly (number | null)[] {
    return this._values;
  }

  private _values: (number | null)[] = [];
}
