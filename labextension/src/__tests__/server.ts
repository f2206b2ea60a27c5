import { ServerConnection } from '@jupyterlab/services';

import { Backoff } from '../backoff';
import { FleetModel } from '../model';
import { Requests } from '../request';
import type { IHost, IRun, Said, Told } from '../rows';
import { Stream } from '../stream';

const GIB = 2 ** 30;

/** What a browser's end of a connection is in these tests. */
class Socket {
  onopen: () => void = () => undefined;
  onclose: () => void = () => undefined;
  onmessage: (event: { data: string }) => void = () => undefined;
  said: Said[] = [];

  constructor(readonly url: string) {}

  send(text: string): void {
    this.said.push(JSON.parse(text));
  }

  close(): void {
    this.onclose();
  }
}

/** The server half as a model meets it: an answer to each request, and one socket after another. */
export class Server {
  sockets: Socket[] = [];
  answers: Record<string, () => [number, unknown]> = {
    version: () => [200, { version: '0.1.0', api: 1 }]
  };
  asked: [string, string, unknown][] = [];
  queries: string[] = [];
  readonly settings: ServerConnection.ISettings;

  constructor() {
    const { sockets } = this;
    class Kept extends Socket {
      constructor(url: string) {
        super(url);
        sockets.push(this);
      }
    }
    this.settings = ServerConnection.makeSettings({
      baseUrl: 'http://localhost/base/',
      wsUrl: 'ws://localhost/base/',
      token: 'a b',
      appendToken: true,
      WebSocket: Kept as any,
      fetch: async (request: any) => this._answer(request)
    });
  }

  model(): FleetModel {
    return new FleetModel(
      new Requests(this.settings),
      ready => new Stream(this.settings, ready, new Backoff(() => 1))
    );
  }

  get socket(): Socket {
    return this.sockets[this.sockets.length - 1];
  }

  /** Let the newest connection stand. */
  async open(): Promise<void> {
    await until(() => this.sockets.length > 0);
    this.socket.onopen();
  }

  tell(told: Told): void {
    this.socket.onmessage({ data: JSON.stringify(told) });
  }

  begin(hosts: IHost[] = [], runs: IRun[] = []): void {
    const rest = { schedules: [], problems: [], user: 'me', version: '0.1.0' };
    this.tell({ type: 'snapshot', revision: 1, hosts, runs, ...rest });
  }

  private async _answer(request: Request): Promise<Response> {
    const [path, query] = request.url.split('macgpu/api/v1/')[1].split('?');
    this.queries.push(query ?? '');
    const body = await request.text();
    this.asked.push([request.method, path, body ? JSON.parse(body) : null]);
    const [status, said] = this.answers[path]?.() ?? [404, null];
    return new Response(JSON.stringify(said), { status });
  }
}

/** Wait until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500 && !isSo(); turn += 1) {
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  expect(isSo()).toBe(true);
}

export function host(name: string, more: Partial<IHost> = {}): IHost {
  const lane = { slots: 1, running: 0, queued: 0, wait: null };
  return {
    name,
    transport: 'ssh',
    state: 'ready',
    reason: '',
    age: 1,
    chip: 'M2 Ultra',
    simulated: false,
    system: 'macOS 15',
    python: '3.12',
    gpu: 0.25,
    gpu_taken: null,
    memory: { total: 64 * GIB, free: 48 * GIB, ours: 4 * GIB, others: 12 * GIB, limit: null },
    heat: 0,
    watts: 21,
    owner_present: false,
    idle: null,
    battery: { on: null, charge: null },
    lanes: { gpu: lane, cpu: lane },
    holders: [],
    labels: {},
    taints: [],
    gpu_test: true,
    trust: 'full',
    ...more
  };
}

export function run(digit: string, more: Partial<IRun> = {}): IRun {
  return {
    run: digit.repeat(32),
    name: '',
    host: 'studio',
    state: 'started',
    place: null,
    wait: null,
    age: 3,
    started: 3,
    seconds: null,
    notebook: 'work/train.ipynb',
    cell: 'c1',
    detached: true,
    priority: 0,
    after: [],
    at: null,
    reason: '',
    final: false,
    moved: {},
    kept: null,
    collected: false,
    cancelling: false,
    mine: true,
    ...more
  };
}
