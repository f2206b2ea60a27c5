import { LabIcon } from '@jupyterlab/ui-components';

const svg = (paths: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">${paths}</g>
</svg>`;

/** The fleet: a screen with a chip in it. */
export const fleetIcon = new LabIcon({
  name: 'jupyter-macgpu:fleet',
  svgstr: svg(
    '<path d="M3 4h18a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1h-7v2h3v2H7v-2h3v-2H3a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zm1 2v9h16V6z"/>' +
      '<path d="M9 8h6v5H9zM7 9h1v1H7zm0 2h1v1H7zm9-2h1v1h-1zm0 2h1v1h-1z"/>'
  )
});

/** A cell that is run elsewhere: a chip, and the sign of running. */
export const runIcon = new LabIcon({
  name: 'jupyter-macgpu:run',
  svgstr: svg(
    '<path d="M6 4h12a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2zm0 2v12h12V6z"/>' +
      '<path d="M10 8.5v7l5.5-3.5zM8 1h2v3H8zm6 0h2v3h-2zM8 20h2v3H8zm6 0h2v3h-2zM1 8h3v2H1zm0 6h3v2H1zm19-6h3v2h-3zm0 6h3v2h-3z"/>'
  )
});
