import * as React from 'react';

/** How full something is, in words and as a bar; nothing is drawn of what is not known. */
export function Meter(props: {
  label: string;
  text: string;
  /** Shares of the whole, from 0 to 1, that stand beside each other. */
  parts: readonly { share: number; kind: 'ours' | 'others' }[];
  isKnown: boolean;
}): React.ReactElement {
  return (
    <div className="macgpu-Meter">
      <span className="macgpu-Meter-label">{props.label}</span>
      <span className="macgpu-Meter-bar" aria-hidden="true">
        {props.isKnown &&
          props.parts.map(part => (
            <span
              key={part.kind}
              className={`macgpu-Meter-part macgpu-mod-${part.kind}`}
              style={{ width: `${Math.min(1, Math.max(0, part.share)) * 100}%` }}
            />
          ))}
      </span>
      <span className="macgpu-Meter-text">{props.text}</span>
    </div>
  );
}
