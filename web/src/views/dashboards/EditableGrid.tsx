// A dashboard that is edited: gridstack moves and resizes by mouse and touch, the keyboard by handles.
import { GridStack, type GridStackNode } from 'gridstack';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from '../../components/Icon';
import { COLUMNS, type Draft, type Item, type Place, type Widget } from './model';
import { WidgetCard } from './WidgetCard';

interface Props {
  draft: Draft;
  change: (draft: Draft) => void;
  edit: (item: Item) => void;
}

const LINE = 38;

export default function EditableGrid({ draft, change, edit }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const grid = useRef<GridStack | null>(null);
  const latest = useRef({ draft, change });
  latest.current = { draft, change };
  const [moved, setMoved] = useState('');

  useEffect(() => {
    const made = GridStack.init({ column: COLUMNS, cellHeight: LINE, margin: 4, handle: '.handle', alwaysShowResizeHandle: 'mobile' }, host.current!);
    if (!made) return;
    grid.current = made;
    made.on('change', (_: Event, nodes: GridStackNode[]) => {
      const places = new Map(nodes.map((node) => [String(node.id), placeOf(node)]));
      const { draft, change } = latest.current;
      change({ ...draft, items: draft.items.map((item) => ({ ...item, place: places.get(item.id) ?? item.place })) });
    });
    return () => void made.destroy(false);
  }, []);
  // Elements that Preact added since become widgets of the grid.
  const ids = draft.items.map((item) => item.id).join('\n');
  useEffect(() => {
    host.current?.querySelectorAll<HTMLElement & { gridstackNode?: GridStackNode }>('.grid-stack-item').forEach((element) => {
      if (!element.gridstackNode) grid.current?.makeWidget(element);
    });
  }, [ids]);

  const remove = (item: Item) => {
    const element = host.current?.querySelector<HTMLElement>(`[gs-id="${CSS.escape(item.id)}"]`);
    if (element) grid.current?.removeWidget(element, false);
    const items = latest.current.draft.items.filter((one) => one.id !== item.id);
    change({ items, removed: [...draft.removed, item.id] });
  };
  const move = (item: Item, by: Partial<Place>) => {
    const element = host.current?.querySelector<HTMLElement & { gridstackNode?: GridStackNode }>(`[gs-id="${CSS.escape(item.id)}"]`);
    const node = element?.gridstackNode;
    if (!element || !node) return;
    const { x, y, w, h } = placeOf(node);
    const to = { x: x + (by.x ?? 0), y: y + (by.y ?? 0), w: Math.max(1, w + (by.w ?? 0)), h: Math.max(1, h + (by.h ?? 0)) };
    if (to.x < 0 || to.y < 0 || to.x + to.w > COLUMNS) return;
    grid.current?.update(element, to);
    const now = placeOf(node);
    setMoved(`${item.title}: column ${now.x + 1}, line ${now.y + 1}, ${now.w} wide, ${now.h} high`);
  };
  return (
    <>
      <div ref={host} class="grid-stack dashboard-edit">
        {draft.items.map((item) => (
          <div
            key={item.id}
            class="grid-stack-item"
            gs-id={item.id}
            gs-x={item.place.x}
            gs-y={item.place.y}
            gs-w={item.place.w}
            gs-h={item.place.h}
            {...(!item.widget && { 'gs-no-resize': 'true' })}
          >
            <div class="grid-stack-item-content">
              <EditedItem item={item} move={(by) => move(item, by)} remove={() => remove(item)} edit={() => edit(item)} />
            </div>
          </div>
        ))}
      </div>
      <p class="visually-hidden" role="status" aria-live="polite">
        {moved}
      </p>
    </>
  );
}

interface EditedProps {
  item: Item;
  move: (by: Partial<Place>) => void;
  remove: () => void;
  edit: () => void;
}

function EditedItem({ item, move, remove, edit }: EditedProps) {
  const handle = <Handle item={item} move={move} />;
  const actions = (
    <span class="group">
      <button type="button" class="plain" aria-label={`Change ${item.title}`} title="Change" onClick={edit}>
        <Icon name="edit" size={14} />
      </button>
      <button type="button" class="plain" aria-label={`Remove ${item.title}`} title="Remove" onClick={remove}>
        <Icon name="trash" size={14} />
      </button>
    </span>
  );
  if (item.widget) return <WidgetCard item={item as Item & { widget: Widget }} editing={{ handle, actions }} />;
  return (
    <div class="row-title">
      {handle}
      {actions}
    </div>
  );
}

/** Title of a widget: dragged by mouse or touch; Enter picks it up for the arrow keys. */
function Handle({ item, move }: Pick<EditedProps, 'item' | 'move'>) {
  const [held, setHeld] = useState(false);
  const key = (event: KeyboardEvent) => {
    const by = held && STEPS[event.key];
    if (event.key === 'Enter' || event.key === ' ') setHeld(!held);
    else if (event.key === 'Escape' && held) setHeld(false);
    else if (by) move(event.shiftKey ? { w: by.x, h: by.y } : by);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <button
      type="button"
      class="handle plain"
      aria-pressed={held}
      aria-label={`Move ${item.title}`}
      title="Drag. Or: Enter picks up, arrows move, Shift and arrows resize, Escape ends"
      onKeyDown={key}
      onBlur={() => setHeld(false)}
    >
      <Icon name="drag" size={14} /> <span>{item.title}</span>
    </button>
  );
}

const STEPS: Record<string, { x: number; y: number }> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

function placeOf({ x = 0, y = 0, w = 1, h = 1 }: GridStackNode): Place {
  return { x, y, w, h };
}
