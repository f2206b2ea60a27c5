import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Actions } from '../actions';
import { percent, size, time } from '../format';
import type { IFleet, IHeardHost } from '../tokens';
import { hostWord, takesRuns } from '../words';
import { useChanges, useSeconds } from './changes';
import { Meter } from './meter';
import { LONG, useNear } from './near';
import { Notice, NoMacs, Problems } from './notice';
import { Sparkline } from './sparkline';

/** How many people a card names before it counts them. */
const NAMED = 3;
/** Pixels that a card is high, about. */
const HEIGHT = 180;

export interface IMacs {
  fleet: IFleet;
  actions: Actions;
  trans: TranslationBundle;
  /** The version of this half. */
  version: string;
  moments: number;
  /** Take a host for the notebook that is open; null if none is. */
  choose: ((name: string) => void) | null;
  /** What the open notebook has chosen. */
  chosen: string;
}

/** All Macs, a card each. */
export function Macs(props: IMacs): React.ReactElement {
  const { fleet, trans } = props;
  useChanges(fleet.hostsChanged, fleet.connectionChanged);
  const hosts = [...fleet.hosts.values()];
  const isOld = fleet.connection !== 'connected';
  return (
    <div className="macgpu-Macs">
      <Notice fleet={fleet} trans={trans} version={props.version} />
      {fleet.isKnown && hosts.length === 0 && !isOld && (
        <NoMacs trans={trans} problems={fleet.problems} />
      )}
      {hosts.length > 0 && <Problems trans={trans} problems={fleet.problems} />}
      {hosts.length > 0 && (
        <ul
          className={isOld ? 'macgpu-List macgpu-mod-old' : 'macgpu-List'}
          aria-label={trans.__('Macs')}
        >
          {hosts.map(host => (
            <Mac
              key={host.name}
              host={host}
              {...props}
              choose={props.choose}
              isChosen={props.chosen === host.name}
              isLong={hosts.length > LONG}
            />
          ))}
        </ul>
      )}
    </div>
  );
}

const Mac = React.memo(MacCard, (before, after) => {
  return (
    before.host === after.host &&
    before.isChosen === after.isChosen &&
    (before.choose === null) === (after.choose === null)
  );
});

function MacCard(
  props: IMacs & { host: IHeardHost; isChosen: boolean; isLong: boolean }
): React.ReactElement {
  const { host, trans } = props;
  const { ref, isNear, style } = useNear(props.isLong, HEIGHT);
  const word = hostWord(trans, host);
  return (
    <li
      ref={ref}
      style={style}
      className={`macgpu-Card macgpu-mod-${host.state}`}
      aria-label={`${host.name}: ${word}`}
    >
      {isNear && <CardBody {...props} word={word} />}
    </li>
  );
}

function CardBody(
  props: IMacs & { host: IHeardHost; isChosen: boolean; word: string }
): React.ReactElement {
  const { host, trans, word } = props;
  return (
    <>
      <div className="macgpu-Card-head">
        <span className="macgpu-Dot" aria-hidden="true" />
        <span className="macgpu-Card-name" title={host.name}>
          {host.name}
        </span>
        <span className="macgpu-Card-state">{word}</span>
      </div>
      <div className="macgpu-Card-about">
        {[host.chip, host.system, host.simulated ? trans.__('simulated') : null]
          .filter(Boolean)
          .join(' · ') || trans.__('Nothing is known of it yet.')}
      </div>
      {takesRuns(host) || host.state === 'draining' ? <Load {...props} /> : <LastSeen {...props} />}
      {host.reason && <div className="macgpu-Card-reason">{host.reason}</div>}
      <Users {...props} />
      <Buttons {...props} />
    </>
  );
}

function Load(props: IMacs & { host: IHeardHost }): React.ReactElement {
  const { host, trans, fleet } = props;
  const { total, free, ours, others } = host.memory;
  const used = total === null || free === null ? null : Math.min(total, Math.max(0, total - free));
  const share = (part: number | null): number => (total && part !== null ? part / total : 0);
  return (
    <>
      <Gpu fleet={fleet} trans={trans} host={host} moments={props.moments} />
      <Meter
        label={trans.__('Memory')}
        text={
          used === null ? '–' : trans.__('%1 of %2', size(used), size(total))
        }
        isKnown={used !== null}
        parts={[
          { share: share(ours), kind: 'ours' },
          { share: share(others), kind: 'others' }
        ]}
      />
      <div className="macgpu-Card-facts">
        {facts(trans, host).map(fact => (
          <span key={fact}>{fact}</span>
        ))}
      </div>
    </>
  );
}

/** The GPU's share and its curve: drawn by itself, as it changes all the time. */
function Gpu(props: {
  fleet: IFleet;
  trans: TranslationBundle;
  host: IHeardHost;
  moments: number;
}): React.ReactElement {
  const { fleet, trans, host } = props;
  useChanges(fleet.sampled);
  const values = fleet.historyOf(host.name);
  const gpu = values.length ? values[values.length - 1] : host.gpu;
  return (
    <div className="macgpu-Meter">
      <span className="macgpu-Meter-label">{trans.__('GPU')}</span>
      <Sparkline values={values} moments={props.moments} />
      <span className="macgpu-Meter-text">{percent(gpu)}</span>
    </div>
  );
}

function facts(trans: TranslationBundle, host: IHeardHost): string[] {
  const { gpu } = host.lanes;
  const found: string[] = [];
  if (gpu.running !== null) {
    found.push(trans.__('%1 running', gpu.running));
  }
  if (gpu.queued !== null) {
    found.push(trans.__('%1 waiting', gpu.queued));
  }
  if (host.watts !== null) {
    found.push(trans.__('%1 W', Math.round(host.watts)));
  }
  if (host.heat !== null && host.heat > 1) {
    found.push(trans.__('hot, so that it is slower'));
  }
  if (host.battery.on) {
    found.push(trans.__('on battery, %1', percent(host.battery.charge)));
  }
  if (host.gpu_test === false) {
    found.push(trans.__('its GPU computed wrongly'));
  }
  return found;
}

function LastSeen(props: IMacs & { host: IHeardHost }): React.ReactElement | null {
  const { host, trans } = props;
  const seconds = useSeconds(host.age !== null);
  if (host.age === null) {
    return null;
  }
  const age = host.age + Math.max(0, seconds - host.heard);
  return (
    <div className="macgpu-Card-about">{trans.__('last seen %1 ago', time(trans, age))}</div>
  );
}

function Users(props: IMacs & { host: IHeardHost }): React.ReactElement | null {
  const { host, trans } = props;
  const lines = host.holders.slice(0, NAMED).map(holder => {
    const kind = holder.place ? trans.__('waits, place %1', holder.place) : trans.__('computes');
    const memory = holder.mem === null ? '' : ` · ${size(holder.mem)}`;
    return `${holder.login}: ${kind}${memory}`;
  });
  const more = host.holders.length - lines.length;
  if (more > 0) {
    lines.push(trans._n('and %1 other', 'and %1 others', more));
  }
  if (host.owner_present) {
    lines.push(trans.__('somebody sits at it'));
  }
  return lines.length ? (
    <ul className="macgpu-Card-users" aria-label={trans.__('Who uses %1', host.name)}>
      {lines.map((line, index) => (
        <li key={index}>{line}</li>
      ))}
    </ul>
  ) : null;
}

function Buttons(
  props: IMacs & { host: IHeardHost; isChosen: boolean }
): React.ReactElement {
  const { host, trans, actions, choose } = props;
  const isDrained = host.state === 'draining';
  return (
    <div className="macgpu-Buttons">
      {props.isChosen && <span className="macgpu-Badge">{trans.__('this notebook')}</span>}
      {choose && takesRuns(host) && !props.isChosen && (
        <button
          className="macgpu-Button"
          onClick={() => choose(host.name)}
          aria-label={trans.__('Use %1 for this notebook', host.name)}
        >
          {trans.__('Use here')}
        </button>
      )}
      {(takesRuns(host) || isDrained) && (
        <button
          className="macgpu-Button"
          onClick={() => void actions.drain(host, !isDrained)}
          aria-label={
            isDrained
              ? trans.__('Let %1 take runs again', host.name)
              : trans.__('Let %1 take nothing new', host.name)
          }
        >
          {isDrained ? trans.__('Take runs again') : trans.__('Drain')}
        </button>
      )}
      {!takesRuns(host) && !isDrained && (
        <button
          className="macgpu-Button"
          onClick={() => void actions.ask(host)}
          aria-label={trans.__('Look at %1 now', host.name)}
        >
          {trans.__('Look now')}
        </button>
      )}
    </div>
  );
}
