import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { IValues } from './rows';

/** Where the server half answers, below the server's base URL. */
export const BASE = 'macgpu/api/v1';

/**
 * The server half, the server or the way to it said no. `message` is what happened, `reason` what
 * is known and was kept, `hint` what to do next. Nothing was done unless `status` is 0.
 */
export class Refused extends Error {
  constructor(
    message: string,
    readonly reason: string,
    readonly hint: string,
    /** The HTTP status; 0 if there was no answer. */
    readonly status: number
  ) {
    super(message);
  }
}

/** Everything that is asked of the server half. Its methods throw `Refused`. */
export class Requests {
  constructor(readonly settings: ServerConnection.ISettings) {}

  /** Ask, and return what is answered. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const url = URLExt.join(this.settings.baseUrl, BASE, path);
    const init: RequestInit = { method };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { 'Content-Type': 'application/json' };
    }
    let answer: Response;
    try {
      answer = await ServerConnection.makeRequest(url, init, this.settings);
    } catch (error) {
      throw new Refused(String((error as Error).message), '', '', 0);
    }
    const text = await answer.text();
    const said = parsed(text);
    if (!answer.ok) {
      throw new Refused(
        said?.message ?? answer.statusText,
        said?.reason ?? '',
        said?.hint ?? '',
        answer.status
      );
    }
    return said as T;
  }

  /** Ask what lives on hosts for one notebook alone. */
  async values(notebook: string): Promise<IValues> {
    return this.ask<IValues>('GET', `values?path=${encodeURIComponent(notebook)}`);
  }

  /** Do something with a host: `ask`, `drain` or `undrain`. */
  async host<T>(name: string, verb: string): Promise<T> {
    return this.ask<T>('POST', `hosts/${encodeURIComponent(name)}/${verb}`, {});
  }

  /** Do something with a run: `cancel`, `priority` or `move`. */
  async run<T>(id: string, verb: string, body: unknown): Promise<T> {
    return this.ask<T>('POST', `runs/${id}/${verb}`, body);
  }
}

function parsed(text: string): any {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}
