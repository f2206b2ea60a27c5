import { ReactWidget } from '@jupyterlab/ui-components';
import type * as React from 'react';

/** A section of the panel. What is in it is drawn by itself when something changes. */
export class Section extends ReactWidget {
  constructor(
    label: string,
    private _draw: () => React.ReactElement
  ) {
    super();
    this.title.label = label;
    this.addClass('macgpu-Section');
  }

  protected render(): React.ReactElement {
    return this._draw();
  }
}
