// The choice of the time range: presets, any two times, back and forth, zoom out.
import { useState } from 'preact/hooks';
import { isAlwaysLive, toggleAlwaysLive } from '../store/clock';
import { PRESETS, isRelative, range, rangeText, setRange, shift, zoomOut } from '../store/range';
import { formatTime } from '../components/format';
import { Icon } from '../components/Icon';
import { Menu } from '../components/Menu';
import { queryOf, setQuery } from './router';

export function TimeRange() {
  return (
    <div class="group range">
      <button type="button" class="wide" aria-label="Back" title="Half a range back" onClick={() => shift(-0.5)}>
        <Icon name="left" />
      </button>
      <Menu name="Time range" label={<><Icon name="clock" /> <span class="hidden">Time range</span> <span class="num">{label()}</span></>}>
        {(close) => <Choice close={close} />}
      </Menu>
      <button type="button" class="wide" aria-label="Forward" title="Half a range forward" disabled={isRelative.value} onClick={() => shift(0.5)}>
        <Icon name="right" />
      </button>
      <button type="button" class="wide" aria-label="Zoom out" title="Zoom out" onClick={zoomOut}>
        <Icon name="zoomOut" />
      </button>
    </div>
  );
}

function label(): string {
  const { from, to } = rangeText.value;
  if (to === 'now') return PRESETS.find((preset) => preset.from === from)?.label ?? from.replace('now-', '');
  const { start, end } = range.value;
  return `${formatTime(start * 1000)} – ${formatTime(end * 1000)}`;
}

const INTERVALS = ['1s', '5s', '15s', '1m', 'off'];

function Choice({ close }: { close: () => void }) {
  const { start, end } = range.value;
  const [from, setFrom] = useState(local(start));
  const [to, setTo] = useState(local(end));
  const apply = (event: Event) => {
    event.preventDefault();
    setRange(new Date(from).toISOString(), new Date(to).toISOString());
    close();
  };
  const active = queryOf('refresh') ?? '5s';
  return (
    <div class="range-choice">
      <div class="presets" role="group" aria-label="Presets">
        {PRESETS.map((preset) => (
          <button
            key={preset.from}
            type="button"
            aria-pressed={isRelative.value && rangeText.value.from === preset.from}
            onClick={() => {
              setRange(preset.from);
              close();
            }}
          >
            {preset.label}
          </button>
        ))}
      </div>
      <form onSubmit={apply}>
        <label>
          From <input type="datetime-local" step="1" required value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label>
          To <input type="datetime-local" step="1" required value={to} onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
        <button type="submit" class="primary" disabled={!(from < to)}>
          Show
        </button>
      </form>
      <div class="presets" role="group" aria-label="Refresh">
        <span class="muted">Refresh</span>
        {INTERVALS.map((interval) => (
          <button key={interval} type="button" aria-pressed={active === interval} onClick={() => setQuery({ refresh: interval === '5s' ? null : interval })}>
            {interval}
          </button>
        ))}
        <button type="button" aria-pressed={isAlwaysLive.value} title="Goes on while nobody sees the page, instead of catching up later" onClick={toggleAlwaysLive}>
          always live
        </button>
      </div>
    </div>
  );
}

/** Returns the local time as the browser's field wants it. */
function local(seconds: number): string {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
