// The views. A view is a folder and one row; its default export is a component of `ViewProps`.
import type { ComponentType } from 'preact';
import type { IconName } from '../components/Icon';

export interface ViewProps {
  /** The address behind the view's path, not escaped: `0a1b` of `/alerts/0a1b`; empty for the view itself. */
  rest: string;
}

export interface View {
  /** First part of the address; empty for the page itself. */
  path: string;
  title: string;
  icon: IconName;
  /** Second key of `g` and a key, which opens it. */
  key: string;
  load: () => Promise<{ default: ComponentType<ViewProps> }>;
}

export const VIEWS: View[] = [
  { path: '', title: 'Overview', icon: 'overview', key: 'o', load: () => import('./overview') },
  { path: 'dashboards', title: 'Dashboards', icon: 'dashboards', key: 'd', load: () => import('./dashboards') },
  { path: 'alerts', title: 'Alerts', icon: 'alerts', key: 'a', load: () => import('./alerts') },
  { path: 'explore', title: 'Explore', icon: 'explore', key: 'e', load: () => import('./explore') },
  { path: 'rules', title: 'Rules', icon: 'rules', key: 'r', load: () => import('./rules') },
  { path: 'notifications', title: 'Notifications', icon: 'notifications', key: 'n', load: () => import('./notifications') },
  { path: 'silences', title: 'Silences', icon: 'silences', key: 's', load: () => import('./silences') },
  { path: 'metrics-list', title: 'Metrics', icon: 'metrics', key: 'm', load: () => import('./metrics') },
  { path: 'collectors', title: 'Collectors', icon: 'collectors', key: 'c', load: () => import('./collectors') },
  { path: 'config', title: 'Configuration', icon: 'config', key: 'f', load: () => import('./config') },
];

/** Returns the view of an address below the base, and the rest of it. */
export function findView(path: string): { view: View; rest: string } | undefined {
  const [first = '', ...rest] = path.split('/');
  const view = VIEWS.find((view) => view.path === first);
  return view && { view, rest: decode(rest.join('/')) };
}

/** Returns an address in plain text; as it is, if it is not escaped well. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
