import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface Props {
  /** A heading; one that carries news where there is news. */
  title: ComponentChildren;
  /** Buttons and links beside the heading. */
  actions?: ComponentChildren;
  class?: string;
  children?: ComponentChildren;
}

export function Card({ title, actions, class: extra = '', children }: Props) {
  const id = useId();
  return (
    <section class={`card ${extra}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}
