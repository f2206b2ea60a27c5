import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';

import { Backoff } from './backoff';
import { BASE } from './request';
import type { Said, Told } from './rows';

/**
 * The one connection over which the browser is told of everything. It is made anew when it is lost,
 * for as long as it is wanted.
 */
export class Stream implements IDisposable {
  /**
   * @param settings Where the server is.
   * @param ready Asked before each try; a connection is made only if it says so.
   */
  constructor(
    private _settings: ServerConnection.ISettings,
    private _ready: () => Promise<boolean>,
    private _backoff: Backoff = new Backoff()
  ) {}

  /** Each message of the server half. */
  get told(): ISignal<this, Told> {
    return this._told;
  }

  /** The connection was made, or lost. */
  get openChanged(): ISignal<this, boolean> {
    return this._openChanged;
  }

  /** Whether the connection stands. */
  get isOpen(): boolean {
    return this._isOpen;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Connect, at once even if a try was put off. It may be repeated. */
  open(): void {
    if (this._isDisposed || this._isTrying || this._socket) {
      return;
    }
    window.clearTimeout(this._timer);
    void this._try();
  }

  /** Say something; it is lost if the connection does not stand. */
  say(said: Said): void {
    if (this._isOpen) {
      this._socket?.send(JSON.stringify(said));
    }
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    window.clearTimeout(this._timer);
    this._socket?.close();
    Signal.clearData(this);
  }

  private async _try(): Promise<void> {
    this._isTrying = true;
    const isReady = await this._ready().catch(() => false);
    this._isTrying = false;
    if (this._isDisposed) {
      return;
    }
    if (!isReady) {
      this._later();
      return;
    }
    const { wsUrl, token, appendToken, WebSocket } = this._settings;
    let url = URLExt.join(wsUrl, BASE, 'stream');
    if (appendToken && token !== '') {
      url += `?token=${encodeURIComponent(token)}`;
    }
    const socket = new WebSocket(url);
    this._socket = socket;
    socket.onopen = () => {
      this._isOpen = true;
      this._openChanged.emit(true);
    };
    socket.onmessage = event => {
      this._backoff.reset();
      this._told.emit(JSON.parse(event.data) as Told);
    };
    socket.onclose = () => this._lost();
  }

  private _lost(): void {
    const wasOpen = this._isOpen;
    this._socket = null;
    this._isOpen = false;
    if (this._isDisposed) {
      return;
    }
    if (wasOpen) {
      this._openChanged.emit(false);
    }
    this._later();
  }

  private _later(): void {
    this._timer = window.setTimeout(() => this.open(), this._backoff.next() * 1000);
  }

  private _told = new Signal<this, Told>(this);
  private _openChanged = new Signal<this, boolean>(this);
  private _socket: WebSocket | null = null;
  private _isOpen = false;
  private _isTrying = false;
  private _isDisposed = false;
  private _timer = 0;
}
