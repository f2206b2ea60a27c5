import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { createPortal } from 'react-dom';

import type { Sheet } from './sheet';

/** One thing that can be chosen: what is sent for it, and what one reads. */
export type Option = readonly [value: string, text: string];

/** A form on the panel's sheet: what is asked, and two buttons. The escape key closes it. */
export function Form(props: {
  trans: TranslationBundle;
  sheet: Sheet;
  name: string;
  /** What is to run, in one line. */
  about: string;
  /** What sends it is called. */
  verb: string;
  isReady?: boolean;
  /** What is wrong with what was filled in; empty if nothing is. */
  problem?: string;
  send: () => void;
  close: () => void;
  children: React.ReactNode;
}): React.ReactElement {
  const { trans, sheet, name, about, problem } = props;
  React.useLayoutEffect(() => {
    const opened = sheet.open();
    return () => opened.dispose();
  }, [sheet]);
  const form = (
    <form
      className="macgpu-Form"
      aria-label={name}
      onKeyDown={event => event.key === 'Escape' && props.close()}
      onSubmit={event => {
        event.preventDefault();
        props.send();
      }}
    >
      <h3 className="macgpu-Heading">{name}</h3>
      <code className="macgpu-Run-line" title={about}>
        {about}
      </code>
      {props.children}
      {problem && (
        <p className="macgpu-Card-reason" role="alert">
          {problem}
        </p>
      )}
      <div className="macgpu-Buttons">
        <button className="macgpu-Button" type="submit" disabled={props.isReady === false}>
          {props.verb}
        </button>
        <button className="macgpu-Button" type="button" onClick={props.close}>
          {trans.__('Close')}
        </button>
      </div>
    </form>
  );
  return createPortal(form, sheet.node);
}

/** Asks for one of several things. Where its text is cut off, it is read by pointing at it. */
export function Choice(props: {
  label: string;
  options: readonly Option[];
  value: string;
  change: (value: string) => void;
  /** What stands there while nothing is chosen, which is not enough then. */
  empty?: string;
}): React.ReactElement {
  const { label, options, value, empty } = props;
  return (
    <label>
      {label}
      <select
        className="macgpu-Input"
        required={empty !== undefined}
        value={value}
        title={options.find(([each]) => each === value)?.[1]}
        onChange={event => props.change(event.target.value)}
      >
        {empty !== undefined && (
          <option value="" disabled>
            {empty}
          </option>
        )}
        {options.map(([each, text]) => (
          <option key={each} value={each}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Asks on which Mac something is to run; nothing is what `any` says. */
export function OnMac(props: {
  trans: TranslationBundle;
  any: string;
  names: Iterable<string>;
  value: string;
  change: (value: string) => void;
}): React.ReactElement {
  const { any, names } = props;
  const options = [...names].map((name): Option => [name, name]);
  return <Choice {...props} label={props.trans.__('On')} options={[['', any], ...options]} />;
}
