import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface Props {
  /** Content of the button, with text. */
  label: ComponentChildren;
  /** Title of the button. */
  name: string;
  class?: string;
  /** Content of the panel; `close` closes it. */
  children: (close: () => void) => ComponentChildren;
}

/** A button with a panel below it. Escape, a click outside and leaving with Tab close it. */
export function Menu({ label, name, class: extra = '', children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside);
    document.addEventListener('focusin', outside);
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('focusin', outside);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  return (
    <div
      class={`menu ${extra}`}
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !open) return;
        event.stopPropagation();
        close();
      }}
    >
      <button ref={button} type="button" aria-expanded={open} aria-haspopup="true" title={name} onClick={() => setOpen(!open)}>
        {label}
      </button>
      {open && <div class="panel">{children(close)}</div>}
    </div>
  );
}
