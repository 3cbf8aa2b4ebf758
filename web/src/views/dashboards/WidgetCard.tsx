// A widget with its title, and its buttons.
import { useEffect, useRef, useState } from 'preact/hooks';
import { setQuery } from '../../app/router';
import { Icon } from '../../components/Icon';
import { CONTENTS } from './widgets';
import type { Item, Widget } from './model';

interface Props {
  item: Item & { widget: Widget };
  large?: boolean;
  /** Buttons and the handle while the dashboard is edited. */
  editing?: { handle: preact.ComponentChildren; actions: preact.ComponentChildren };
}

export function WidgetCard({ item, large = false, editing }: Props) {
  const { title, widget } = item;
  const root = useRef<HTMLElement>(null);
  const seen = useSeen(root);
  const Content = CONTENTS[widget.type];
  return (
    <section ref={root} class={`widget card is-${widget.type}`} aria-label={title}>
      <header class="widget-header">
        {editing ? editing.handle : <h3 title={widget.description ?? undefined}>{title}</h3>}
        {editing?.actions}
        {!editing && (
          <button
            type="button"
            class="plain"
            aria-label={large ? `Close ${title}` : `Enlarge ${title}`}
            title={large ? 'Close (Esc)' : 'Enlarge'}
            onClick={() => setQuery({ panel: large ? null : item.id }, 'push')}
          >
            <Icon name={large ? 'close' : 'share'} size={14} />
          </button>
        )}
      </header>
      <div class="widget-content">
        <Content title={title} widget={widget} seen={seen} />
      </div>
    </section>
  );
}

/** Returns whether an element is in the viewport or near to it. */
function useSeen(element: { current: HTMLElement | null }): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => setSeen(entry?.isIntersecting ?? false), { rootMargin: '200px' });
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return seen;
}
