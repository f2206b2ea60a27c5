import type { FleetModel } from '../model';
import { MOMENTS } from '../model';
import { host, run, Server, until } from './server';

const output = (text: string) => ({ output_type: 'stream', name: 'stdout', text });

describe('FleetModel', () => {
  let server: Server;
  let model: FleetModel;

  beforeEach(() => {
    server = new Server();
    model = server.model();
  });

  afterEach(() => model.dispose());

  it('asks for nothing until somebody looks', async () => {
    await new Promise(resolve => setTimeout(resolve, 20));
    expect(server.asked).toEqual([]);
    expect(model.connection).toBe('idle');
  });

  it('is told everything, then what changes', async () => {
    model.look();
    await server.open();
    server.begin([host('studio'), host('mini')], [run('a')]);
    expect(model.connection).toBe('connected');
    expect([...model.hosts.keys()]).toEqual(['studio', 'mini']);
    const hosts = [host('mini', { state: 'busy' })];
    server.tell({ type: 'hosts', revision: 2, hosts, gone: ['studio'] });
    expect([...model.hosts.values()].map(each => each.state)).toEqual(['busy']);
    server.tell({ type: 'runs', revision: 3, runs: [], gone: [run('a').run] });
    expect(model.runs.size).toBe(0);
  });

  it('gives the token in a form that a URL can have', async () => {
    model.look();
    await server.open();
    expect(server.socket.url).toBe('ws://localhost/base/macgpu/api/v1/stream?token=a%20b');
  });

  it('drops after a new connection what is there no more', async () => {
    model.look();
    await server.open();
    server.begin([host('studio'), host('mini')], [run('a'), run('b')]);
    server.socket.close();
    expect(model.connection).toBe('reconnecting');
    expect(model.hosts.size).toBe(2);
    await until(() => server.sockets.length === 2);
    await server.open();
    server.begin([host('mini')], [run('b')]);
    expect(model.connection).toBe('connected');
    expect([...model.hosts.keys()]).toEqual(['mini']);
    expect([...model.runs.keys()]).toEqual([run('b').run]);
  });

  it('follows again after a new connection, and does not double what was shown', async () => {
    const shown: string[] = [];
    const id = run('a').run;
    model.follow(id, all => shown.push(all.outputs.map(each => each.text).join('|')), 'studio');
    await server.open();
    expect(server.socket.said).toContainEqual({ type: 'follow', run: id, host: 'studio' });
    const told = { type: 'outputs', run: id, append: '', final: false } as const;
    server.tell({ ...told, from: 0, outputs: [output('one')] });
    server.socket.close();
    await until(() => server.sockets.length === 2);
    await server.open();
    expect(server.socket.said).toContainEqual({ type: 'follow', run: id, host: 'studio' });
    server.tell({ ...told, from: 0, outputs: [output('one'), output('two')] });
    server.tell({ ...told, from: 2, append: '!', outputs: [] });
    expect(shown).toEqual(['one', 'one|two', 'one|two!']);
  });

  it('does not ask again for a run that its host has no more', async () => {
    const id = run('a').run;
    model.follow(id, () => undefined);
    await server.open();
    const words = { message: 'gone', reason: '', hint: '' };
    server.tell({ type: 'problem', ...words, run: id, gone: true });
    server.socket.close();
    await until(() => server.sockets.length === 2);
    await server.open();
    expect(server.socket.said.filter(said => said.type === 'follow')).toEqual([]);
  });

  it('says that nobody looks, and is told nothing then', async () => {
    const looking = model.look();
    await server.open();
    looking.dispose();
    const seen = server.socket.said.filter(said => said.type === 'visible');
    expect(seen.map(said => said.type === 'visible' && said.visible)).toEqual([true, false]);
    expect(model.isWatched).toBe(false);
  });

  it('keeps as many moments as a curve has', async () => {
    model.look();
    await server.open();
    const rest = { memory_used: null, watts: null, running: null, queued: null };
    for (let at = 0; at < MOMENTS + 5; at += 1) {
      server.tell({ type: 'metrics', at, hosts: { studio: { gpu: at / 100, ...rest } } });
    }
    const values = model.historyOf('studio');
    expect(values.length).toBe(MOMENTS);
    expect(values[MOMENTS - 1]).toBe((MOMENTS + 4) / 100);
  });

  it('keeps nothing and says nothing more of a Mac that comes and goes all day', async () => {
    const said: string[] = [];
    model.ended.connect(() => said.push('ended'));
    model.troubled.connect(() => said.push('troubled'));
    model.look();
    await server.open();
    server.begin([host('studio')], []);
    const asked = server.asked.length;
    const rest = { memory_used: null, watts: null, running: null, queued: null };
    for (let at = 0; at < 24 * 3600; at += 5) {
      const state = at % 10 ? 'ready' : 'unreachable';
      const hosts = [host('studio', { state })];
      server.tell({ type: 'hosts', revision: at + 2, hosts, gone: [] });
      server.tell({ type: 'metrics', at, hosts: { studio: { gpu: 0.5, ...rest } } });
    }
    expect(said).toEqual([]);
    expect(server.asked.length).toBe(asked);
    expect(server.socket.said.length).toBeLessThan(3);
    expect(model.hosts.size).toBe(1);
    expect(model.historyOf('studio').length).toBe(MOMENTS);
  });

  it('says once that a run has ended', async () => {
    const ended: string[] = [];
    model.ended.connect((_, each) => ended.push(each.state));
    model.look();
    await server.open();
    server.begin([], [run('a'), run('b', { state: 'ok', final: true })]);
    const runs = [run('a', { state: 'ok', final: true })];
    server.tell({ type: 'runs', revision: 2, runs, gone: [] });
    server.tell({ type: 'runs', revision: 3, runs, gone: [] });
    expect(ended).toEqual(['ok']);
  });

  it.each([
    [404, null, 'missing'],
    [403, null, 'forbidden'],
    [200, { version: '9.0', api: 9 }, 'mismatch'],
    [500, null, 'connecting']
  ])('says what is wrong with a server half that answers %d %j', async (status, said, word) => {
    server.answers.version = () => [status, said];
    model.look();
    await until(() => server.asked.length > 0);
    await until(() => model.connection === word);
    expect(server.sockets).toEqual([]);
  });
});
