import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, IToolbarWidgetRegistry, Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { IRunningSessionManagers } from '@jupyterlab/running';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { Actions } from './actions';
import { Attachments } from './attach';
import { Choices } from './choices';
import { addCommands, CommandIDs } from './commands';
import { DevicePicker } from './devicepicker';
import { FleetModel } from './model';
import { announce } from './notify';
import { FleetPanel } from './panel';
import { sections } from './panel/sections';
import { Sheet } from './panel/sheet';
import { Requests } from './request';
import type { IHow } from './runcell';
import { addRunning } from './running';
import { Settings } from './settings';
import { StatusItem } from './status';
import { IFleet, IWork } from './tokens';
import { Visits } from './visits';

const DOMAIN = 'jupyter_macgpu';

/** What is known of the fleet. */
const model: JupyterFrontEndPlugin<IFleet> = {
  id: 'jupyter-macgpu:model',
  description: 'Provides the fleet of Macs.',
  autoStart: true,
  provides: IFleet,
  activate: (app: JupyterFrontEnd) =>
    new FleetModel(new Requests(app.serviceManager.serverSettings))
};

/** What can be done, and what each notebook has chosen: what the other plugins share. */
const work: JupyterFrontEndPlugin<IWork> = {
  id: 'jupyter-macgpu:plugin',
  description: 'Adds the commands, and what they and the settings decide.',
  autoStart: true,
  provides: IWork,
  requires: [IFleet],
  optional: [ITranslator, INotebookTracker, ISettingRegistry, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    fleet: IFleet,
    translator: ITranslator | null,
    tracker: INotebookTracker | null,
    registry: ISettingRegistry | null,
    palette: ICommandPalette | null
  ): IWork => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const actions = new Actions(fleet, trans);
    const choices = new Choices(tracker);
    const settings = new Settings();
    const visits = new Visits(app.commands, tracker);
    settings.changed.connect(() => {
      actions.asksBeforeCancel = settings.confirmCancel;
    }, actions);
    choices.failed.connect((_, problem) => Notification.warning(problem), actions);
    void registry?.load(work.id).then(loaded => settings.follow(loaded));
    addCommands(app, trans, tracker);
    const category = trans.__('Macs');
    palette?.addItem({ command: CommandIDs.showPanel, category });
    if (tracker) {
      palette?.addItem({ command: CommandIDs.runCell, category });
    }
    const runCell = async (how: IHow): Promise<void> => {
      await app.commands.execute(CommandIDs.runCell, { ...how });
    };
    return { actions, choices, settings, visits, runCell };
  }
};

/** The panel. */
const panel: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-macgpu:panel',
  description: 'Adds the panel with the fleet.',
  autoStart: true,
  requires: [IFleet, IWork],
  optional: [ITranslator, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    fleet: IFleet,
    shared: IWork,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
  ) => {
    const language = translator ?? nullTranslator;
    const sheet = new Sheet();
    const inside = sections(fleet, shared, language.load(DOMAIN), sheet);
    const made = new FleetPanel(fleet, language, inside, sheet);
    restorer?.add(made, made.id);
    app.shell.add(made, 'right', { rank: 600, type: 'Macs' });
  }
};

/** The choice in the notebook's toolbar. */
const picker: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-macgpu:picker',
  description: 'Adds the choice of a Mac to the toolbar of notebooks.',
  autoStart: true,
  requires: [IFleet, IWork],
  optional: [ITranslator, IToolbarWidgetRegistry],
  activate: (
    _: JupyterFrontEnd,
    fleet: IFleet,
    shared: IWork,
    translator: ITranslator | null,
    toolbars: IToolbarWidgetRegistry | null
  ) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    toolbars?.addFactory<NotebookPanel>(
      'Notebook',
      'macgpu-where',
      notebook => new DevicePicker(fleet, shared.choices, notebook, trans)
    );
  }
};

/** What runs show, written into their cells. */
const attach: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-macgpu:attach',
  description: 'Writes what runs show into the cells that they belong to.',
  autoStart: true,
  requires: [IFleet],
  optional: [ITranslator, INotebookTracker],
  activate: (
    _: JupyterFrontEnd,
    fleet: IFleet,
    translator: ITranslator | null,
    tracker: INotebookTracker | null
  ) => {
    if (tracker) {
      new Attachments(fleet, (translator ?? nullTranslator).load(DOMAIN), tracker);
    }
  }
};

/** The status bar, announcements, and the list of what runs. */
const status: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-macgpu:status',
  description: 'Says how the fleet is where the front end says how things are.',
  autoStart: true,
  requires: [IFleet, IWork],
  optional: [ITranslator, IStatusBar, IRunningSessionManagers],
  activate: (
    app: JupyterFrontEnd,
    fleet: IFleet,
    shared: IWork,
    translator: ITranslator | null,
    bar: IStatusBar | null,
    managers: IRunningSessionManagers | null
  ) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const { actions, settings, visits } = shared;
    const item = new StatusItem(fleet, trans, () => {
      void app.commands.execute(CommandIDs.showPanel);
    });
    bar?.registerStatusItem('jupyter-macgpu:status', {
      item,
      align: 'left',
      rank: 50,
      isActive: () => settings.showStatusItem,
      activeStateChanged: settings.changed
    });
    announce(fleet, shared, trans);
    if (managers) {
      addRunning(managers, fleet, actions, trans, run => void visits.go(run));
    }
  }
};

export default [model, work, panel, picker, attach, status];
export { IFleet } from './tokens';
