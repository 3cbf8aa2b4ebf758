// Settings of a widget, with the widget itself below them.
import { useState } from 'preact/hooks';
import { Dialog } from '../../components/Dialog';
import { Icon } from '../../components/Icon';
import { type Item, UNITS, type Widget, WIDGET_TYPES, type WidgetQuery } from './model';
import { ThresholdsEditor } from './ThresholdsEditor';
import { WidgetCard } from './WidgetCard';

interface Props {
  item: Item;
  done: (item: Item) => void;
  close: () => void;
}

const OVERLAYS = ['expected', 'forecast'];
const OVER_TIME = ['line', 'area'];

export function WidgetEditor({ item, done, close }: Props) {
  const [title, setTitle] = useState(item.title);
  const [widget, setWidget] = useState(item.widget);
  const set = (change: Partial<Widget>) => setWidget(widget && { ...widget, ...change });
  const save = (event: Event) => {
    event.preventDefault();
    done({ ...item, title: title.trim() || 'Untitled', custom: true, ...(widget && { widget: withoutEmptyQueries(widget) }) });
  };
  return (
    <Dialog title={widget ? 'Widget' : 'Row'} class="widget-editor" onClose={close}>
      <form onSubmit={save}>
        <label>
          Title <input value={title} maxLength={200} required onInput={(event) => setTitle(event.currentTarget.value)} />
        </label>
        {widget && <Fields widget={widget} set={set} />}
        {widget && (
          <div class="preview">
            <WidgetCard item={{ ...item, id: 'preview', title, widget }} editing={{ handle: <h3>{title}</h3>, actions: null }} />
          </div>
        )}
        <div class="actions">
          <button type="submit" class="primary">
            Apply
          </button>
          <button type="button" onClick={close}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Fields({ widget, set }: { widget: Widget; set: (change: Partial<Widget>) => void }) {
  const asks = widget.type !== 'text' && widget.type !== 'alert_list';
  const overTime = OVER_TIME.includes(widget.type);
  return (
    <>
      <div class="fields">
        <label>
          Type{' '}
          <select value={widget.type} onChange={(event) => set({ type: event.currentTarget.value as Widget['type'] })}>
            {WIDGET_TYPES.map((type) => (
              <option key={type} value={type}>
                {type.replace('_', ' ')}
              </option>
            ))}
          </select>
        </label>
        {asks && (
          <>
            <label>
              Unit{' '}
              <select value={widget.unit} onChange={(event) => set({ unit: event.currentTarget.value })}>
                {UNITS.map((unit) => (
                  <option key={unit}>{unit}</option>
                ))}
              </select>
            </label>
            <EndField name="Minimum" value={widget.min} set={(min) => set({ min })} />
            <EndField name="Maximum" value={widget.max} set={(max) => set({ max })} />
          </>
        )}
      </div>
      {asks && <Queries queries={widget.queries} set={(queries) => set({ queries })} />}
      {asks && <ThresholdsEditor own={widget.ownThresholds} set={(ownThresholds, thresholds) => set({ ownThresholds, thresholds })} />}
      {overTime && (
        <fieldset>
          <legend>Draw too</legend>
          {OVERLAYS.map((overlay) => (
            <label key={overlay}>
              <input
                type="checkbox"
                checked={widget.overlays.includes(overlay)}
                onChange={(event) => set({ overlays: OVERLAYS.filter((one) => (one === overlay ? event.currentTarget.checked : widget.overlays.includes(one))) })}
              />{' '}
              {overlay === 'expected' ? 'expected range' : 'forecast'}
            </label>
          ))}
        </fieldset>
      )}
      {widget.type === 'text' && (
        <label>
          Text <textarea rows={6} maxLength={20000} value={widget.text ?? ''} onInput={(event) => set({ text: event.currentTarget.value })} />
        </label>
      )}
    </>
  );
}

function EndField({ name, value, set }: { name: string; value: number | null; set: (value: number | null) => void }) {
  return (
    <label>
      {name}{' '}
      <input
        type="number"
        step="any"
        placeholder="by the values"
        value={value ?? ''}
        onInput={({ currentTarget: { value } }) => set(value === '' ? null : Number(value))}
      />
    </label>
  );
}

function Queries({ queries, set }: { queries: WidgetQuery[]; set: (queries: WidgetQuery[]) => void }) {
  const shown = queries.length > 0 ? queries : [{ query: '', legend: null }];
  const change = (at: number, part: Partial<WidgetQuery>) => set(shown.map((query, index) => (index === at ? { ...query, ...part } : query)));
  return (
    <fieldset class="queries">
      <legend>Queries</legend>
      {shown.map(({ query, legend }, at) => (
        <div key={at}>
          <label>
            PromQL <textarea rows={2} required spellcheck={false} value={query} onInput={(event) => change(at, { query: event.currentTarget.value })} />
          </label>
          <label>
            Legend <input placeholder="{{device}}" value={legend ?? ''} onInput={(event) => change(at, { legend: event.currentTarget.value || null })} />
          </label>
          {shown.length > 1 && (
            <button type="button" class="plain" aria-label={`Remove query ${at + 1}`} onClick={() => set(shown.filter((_, index) => index !== at))}>
              <Icon name="trash" size={14} />
            </button>
          )}
        </div>
      ))}
      <button type="button" onClick={() => set([...shown, { query: '', legend: null }])} disabled={shown.length >= 20}>
        <Icon name="add" size={14} /> Query
      </button>
    </fieldset>
  );
}

function withoutEmptyQueries(widget: Widget): Widget {
  return { ...widget, queries: widget.queries.filter(({ query }) => query.trim() !== '') };
}
