// Keys of the whole page. A view adds its own with `useKeys`; none works while text is typed.
import { useEffect } from 'preact/hooks';
import { refresh, togglePause } from '../store/clock';
import { dialog, open } from '../store/dialogs';
import { shift, zoomOut } from '../store/range';
import { toggleTheme } from '../store/theme';
import { VIEWS } from '../views';
import { navigate } from './router';

/** A key, or two in a row with a space between them: `g a`. */
export interface Key {
  keys: string;
  text: string;
  run: () => void;
}

export const PAGE_KEYS: Key[] = [
  { keys: '?', text: 'Keys', run: () => open({ kind: 'keys' }) },
  { keys: '/', text: 'Search for anything; Ctrl-K too', run: () => open({ kind: 'palette' }) },
  { keys: 'p', text: 'Pause or go live', run: togglePause },
  { keys: 'd r', text: 'Refresh', run: refresh },
  { keys: 't z', text: 'Zoom out', run: zoomOut },
  { keys: 't ArrowLeft', text: 'Half a range back', run: () => shift(-0.5) },
  { keys: 't ArrowRight', text: 'Half a range forward', run: () => shift(0.5) },
  { keys: 'c t', text: 'Dark or light', run: toggleTheme },
  ...VIEWS.map((view): Key => ({ keys: `g ${view.key}`, text: view.title, run: () => navigate(view.path) })),
];

/** Keys of the view that is shown. */
export const viewKeys = new Set<Key[]>();

/** Adds keys for the life of a component. */
export function useKeys(keys: Key[]): void {
  useEffect(() => {
    viewKeys.add(keys);
    return () => void viewKeys.delete(keys);
  });
}

/** Time for the second key of two, in milliseconds. */
const PATIENCE = 1500;

export function startKeys(): void {
  let first = '';
  let at = 0;
  document.addEventListener('keydown', (event) => {
    if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      open({ kind: 'palette' });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || dialog.value !== null) return;
    const pair = event.timeStamp - at < PATIENCE ? `${first} ${event.key}` : '';
    const all = [...[...viewKeys].flat(), ...PAGE_KEYS];
    const key = all.find(({ keys }) => keys === pair) ?? all.find(({ keys }) => keys === event.key);
    first = key ? '' : event.key;
    at = event.timeStamp;
    if (!key || event.defaultPrevented) return;
    event.preventDefault();
    key.run();
  });
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.shadowRoot !== null || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}
