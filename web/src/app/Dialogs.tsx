// The place of the open dialog; its code comes with the first one.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { close, dialog } from '../store/dialogs';
import { say } from '../store/toast';

let loaded: ComponentType | undefined;

export function Dialogs() {
  const isOpen = dialog.value !== null;
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!isOpen || loaded) return;
    import('../dialogs').then(
      (module) => {
        loaded = module.default;
        redraw((count) => count + 1);
      },
      (error: unknown) => {
        close();
        say(`The dialog cannot be shown: ${String(error)}`, 'critical');
      },
    );
  }, [isOpen]);
  const Component = loaded;
  return isOpen && Component ? <Component /> : null;
}
