// Short messages about what a person did.
import { signal } from '@preact/signals';
import { asApiError } from '../api/client';

export interface Toast {
  id: number;
  tone: 'ok' | 'critical';
  text: string;
}

export const toasts = signal<Toast[]>([]);
let next = 0;

export function say(text: string, tone: Toast['tone'] = 'ok'): void {
  const toast = { id: (next += 1), tone, text };
  toasts.value = [...toasts.value.slice(-3), toast];
  setTimeout(() => dismiss(toast.id), tone === 'ok' ? 5_000 : 15_000);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Runs an action, and says `done` or its error. Returns true if it succeeded. */
export async function attempt(done: string, action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    say(done);
    return true;
  } catch (error) {
    say(asApiError(error).message, 'critical');
    return false;
  }
}
