import type { ICodeCellModel } from '@jupyterlab/cells';
import type { IOutput } from '@jupyterlab/nbformat';

import { RUN_MIME } from './rows';
import { joined, overwritten } from './shown';

/** A run that a cell's outputs name. */
export interface INamed {
  run: string;
  host: string;
  /** Index of the output that names it; what it shows stands behind that one. */
  at: number;
  /** Whether all that it has shown stands there, and nothing else. */
  final: boolean;
  /** Whether more than one output names it. */
  isTwice: boolean;
}

/** How a cell is to say which run it belongs to. */
export interface ISaid {
  run: string;
  host: string;
  final: boolean;
  /** How the run stands, in a line; empty to leave the line as it is. */
  line: string;
}

/** A cell of which the text of an output can change. */
interface IChangeable {
  appendStreamOutput(index: number, text: string): void;
  removeStreamOutput(index: number, start: number): void;
}

/** Return the run that a cell's outputs name last; null if there is none. */
export function named(outputs: readonly IOutput[]): INamed | null {
  let found: INamed | null = null;
  outputs.forEach((output, at) => {
    const said = (output.data as Record<string, any> | undefined)?.[RUN_MIME];
    if (!said || typeof said.run !== 'string' || !/^[0-9a-f]{32}$/.test(said.run)) {
      return;
    }
    // Two browsers may have written at the same moment: then all stands there twice.
    const isAgain = found?.run === said.run;
    found = {
      run: said.run,
      host: String(said.host ?? ''),
      at: isAgain ? (found as INamed).at : at,
      final: said.final === true && !isAgain,
      isTwice: isAgain
    };
  });
  return found;
}

/**
 * Let what a run has shown stand behind the output that names it, once and in order, whatever
 * stood there. Only what differs is written. Returns false if the cell names the run no more.
 *
 * @param run The run that the cell names.
 * @param said What it is to name from now on.
 */
export function write(
  cell: ICodeCellModel,
  run: string,
  shown: readonly IOutput[],
  said: ISaid
): boolean {
  const shared = cell.sharedModel;
  const outputs = shared.getOutputs();
  const found = named(outputs);
  if (found?.run !== run) {
    return false;
  }
  const name = naming(outputs[found.at], said);
  const behind = shown.map(each => counted(overwritten(each), name));
  const wanted = [...outputs.slice(0, found.at), name, ...behind];
  let first = 0;
  while (first < wanted.length && first < outputs.length && same(wanted[first], outputs[first])) {
    first += 1;
  }
  if (first === outputs.length) {
    if (first < wanted.length) {
      shared.updateOutputs(first, first, wanted.slice(first));
    }
  } else if (isLastStream(outputs, wanted, first) && 'appendStreamOutput' in shared) {
    change(shared as unknown as IChangeable, first, outputs[first], wanted[first]);
  } else {
    // JupyterLab adds whatever is new behind all that is there, joins a stream to the one before it,
    // and counts from where an output first stood: so nothing is left there for it to be wrong about.
    // JupyterLab 4.2 knows no other way at all.
    shared.updateOutputs(found.at, outputs.length, []);
    shared.updateOutputs(found.at, found.at, wanted.slice(found.at));
  }
  return true;
}

/** Whether all that differs is the text of a stream, which is the last output. */
function isLastStream(had: readonly IOutput[], wanted: readonly IOutput[], first: number): boolean {
  return (
    first === had.length - 1 &&
    first === wanted.length - 1 &&
    had[first].output_type === 'stream' &&
    wanted[first].output_type === 'stream' &&
    had[first].name === wanted[first].name
  );
}

/** Let the text of the last output be another one. */
function change(shared: IChangeable, at: number, had: IOutput, wanted: IOutput): void {
  const [before, after] = [joined(had.text), joined(wanted.text)];
  let common = 0;
  while (common < before.length && common < after.length && before[common] === after[common]) {
    common += 1;
  }
  if (common > 0 && /[\uD800-\uDBFF]/.test(before[common - 1])) {
    common -= 1;
  }
  if (common < before.length) {
    shared.removeStreamOutput(at, common);
  }
  if (common < after.length) {
    shared.appendStreamOutput(at, after.slice(common));
  }
}

/** Return the output that names a run, as it is to be. */
function naming(output: IOutput, said: ISaid): IOutput {
  const before = output.data as Record<string, any>;
  const final = said.final ? { final: true } : {};
  const name = { run: said.run, host: said.host, ...final };
  const data = said.line
    ? { [RUN_MIME]: name, 'text/plain': said.line }
    : { ...before, [RUN_MIME]: name };
  return { ...output, data };
}

/** Return an output of a run as one of its cell: the run itself counts no cells. */
function counted(output: IOutput, name: IOutput): IOutput {
  return output.output_type === 'execute_result'
    ? { ...output, execution_count: name.execution_count ?? null }
    : output;
}

function same(one: IOutput, other: IOutput): boolean {
  return JSON.stringify(plain(one)) === JSON.stringify(plain(other));
}

/** Return an output with its keys in one order, and its text as one string. */
function plain(value: any): unknown {
  if (Array.isArray(value)) {
    return value.every(each => typeof each === 'string') ? value.join('') : value.map(plain);
  }
  if (value && typeof value === 'object') {
    const keys = Object.keys(value).sort();
    return keys.filter(key => key !== 'transient').map(key => [key, plain(value[key])]);
  }
  return value;
}
