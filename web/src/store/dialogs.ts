// The one dialog that is open. It is here and not in a view, so that the palette and the keys open it too.
import { signal } from '@preact/signals';
import type { Alert, Silence } from '../api/types';

export type OpenDialog =
  | { kind: 'silence'; alert?: Alert; silence?: Silence; matchers?: string }
  | { kind: 'acknowledge'; alert: Alert }
  | { kind: 'resolve'; alert: Alert }
  | { kind: 'confirm'; title: string; text: string; action: string; run: () => Promise<unknown> }
  | { kind: 'palette' }
  | { kind: 'keys' };

export const dialog = signal<OpenDialog | null>(null);

export function open(next: OpenDialog): void {
  dialog.value = next;
}

export function close(): void {
  dialog.value = null;
}
