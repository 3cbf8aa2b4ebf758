// The views. A view is a folder and one row; its default export is a component of `ViewProps`.
import type { ComponentType } from 'preact';
import type { IconName } from '../components/Icon';

export interface ViewProps {
  /** The address behind the view's path: `0a1b` of `/alerts/0a1b`; empty for the view itself. */
  rest: string;
}

export interface View {
  /** First part of the address; empty for the page itself. */
  path: string;
  title: string;
  icon: IconName;
  load: () => Promise<{ default: ComponentType<ViewProps> }>;
}

export const VIEWS: View[] = [
  { path: '', title: 'Overview', icon: 'overview', load: () => import('./overview') },
  { path: 'dashboards', title: 'Dashboards', icon: 'dashboards', load: () => import('./dashboards') },
  { path: 'explore', title: 'Explore', icon: 'explore', load: () => import('./explore') },
  { path: 'config', title: 'Configuration', icon: 'config', load: () => import('./config') },
];

/** Returns the view of an address below the base, and the rest of it. */
export function findView(path: string): { view: View; rest: string } | undefined {
  const [first = '', ...rest] = path.split('/');
  const view = VIEWS.find((view) => view.path === first);
  return view && { view, rest: rest.join('/') };
}
