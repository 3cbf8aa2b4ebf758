// A dashboard as it is seen: a grid of CSS. A narrow page has one column.
import type { Item, Widget } from './model';
import { ordered } from './model';
import { WidgetCard } from './WidgetCard';

export function Grid({ items }: { items: Item[] }) {
  return (
    <div class="dashboard-grid">
      {ordered(items).map((item) => {
        const { x, y, w, h } = item.place;
        const style = { gridColumn: `${x + 1} / span ${w}`, gridRow: `${y + 1} / span ${h}`, '--lines': h };
        return (
          <div key={item.id} id={`widget-${item.id}`} class={item.widget ? 'cell' : 'cell row'} style={style}>
            {item.widget ? <WidgetCard item={item as Item & { widget: Widget }} /> : <h2>{item.title}</h2>}
          </div>
        );
      })}
    </div>
  );
}
