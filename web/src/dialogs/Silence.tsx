// A silence: which alerts, how long, by whom, and a preview of what it covers now.
import { useState } from 'preact/hooks';
import type { Alert, Labels, Silence } from '../api/types';
import { summary } from '../store/agent';
import { createSilence } from '../store/changes';
import { equalTo, matches, parseMatchers } from '../store/matchers';
import { Dialog } from '../components/Dialog';
import { AlertLine } from '../components/AlertLine';
import { Author, Buttons, Choices, Comment, initialAuthor } from './fields';

const DURATIONS = [
  { value: '1h', label: '1 h' },
  { value: '2h', label: '2 h' },
  { value: '4h', label: '4 h' },
  { value: '8h', label: '8 h' },
  { value: '1d', label: '1 d' },
  { value: '7d', label: '7 d' },
];

interface Props {
  alert?: Alert | undefined;
  silence?: Silence | undefined;
  /** Matchers to begin with. */
  initial?: string | undefined;
  onClose: () => void;
}

export function SilenceDialog({ alert, silence, initial = '', onClose }: Props) {
  const [matchers, setMatchers] = useState(silence?.matchers.replace(/^\{|\}$/g, '') ?? (alert ? equalTo(alert.labels) : initial));
  const [duration, setDuration] = useState('2h');
  const [by, setBy] = useState(silence?.createdBy ?? initialAuthor());
  const [comment, setComment] = useState(silence?.comment ?? '');
  const [busy, setBusy] = useState(false);
  const parsed = parseMatchers(matchers);
  const label = DURATIONS.find((choice) => choice.value === duration)?.label ?? duration;
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const id = silence ? { id: silence.id } : {};
    const done = await createSilence({ ...id, matchers, duration, created_by: by, comment });
    setBusy(false);
    if (done) onClose();
  };
  return (
    <Dialog title={silence ? 'Change the silence' : alert ? `Silence ${alert.labels.alertname ?? alert.rule}` : 'New silence'} onClose={onClose}>
      <form onSubmit={submit}>
        {alert && <LabelChoice labels={alert.labels} chosen={matchers} onChange={setMatchers} />}
        <label class="field">
          <span>Matchers</span>
          <input class="mono" required spellcheck={false} autocomplete="off" value={matchers} placeholder={'alertname="backlog", queue=~"mail|sms"'} aria-invalid={parsed === null} onInput={(event) => setMatchers(event.currentTarget.value)} />
        </label>
        <Choices label="Duration" choices={DURATIONS} value={duration} onChange={setDuration} />
        <Author value={by} onChange={setBy} />
        <Comment value={comment} onChange={setComment} placeholder="Why, and who works on it" />
        <Preview matchers={matchers} />
        <Buttons>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" autofocus disabled={busy || !parsed || parsed.length === 0}>
            {silence ? `Change, ends in ${label}` : `Silence for ${label}`}
          </button>
        </Buttons>
      </form>
    </Dialog>
  );
}

/** Labels of an alert as matchers: fewer of them cover more alerts. */
function LabelChoice({ labels, chosen, onChange }: { labels: Labels; chosen: string; onChange: (matchers: string) => void }) {
  const parsed = parseMatchers(chosen) ?? [];
  const isChosen = (name: string) => parsed.some((matcher) => matcher.name === name && matcher.operator === '=' && matcher.value === labels[name]);
  const toggle = (name: string) =>
    onChange(equalTo(Object.fromEntries(Object.entries(labels).filter(([other]) => (other === name ? !isChosen(name) : isChosen(other))))));
  return (
    <div class="chips" role="group" aria-label="Labels that must be equal">
      {Object.entries(labels).map(([name, value]) => (
        <button key={name} type="button" class="chip" aria-pressed={isChosen(name)} onClick={() => toggle(name)}>
          {name}={value}
        </button>
      ))}
    </div>
  );
}

function Preview({ matchers }: { matchers: string }) {
  const parsed = parseMatchers(matchers);
  if (!parsed) return <p class="tone-critical small">These matchers cannot be read: name="value", name=~"regex"</p>;
  if (parsed.length === 0) return <p class="tone-warning small">A silence needs a matcher, such as alertname="backlog"</p>;
  const active = summary.state.value.data?.alerts.active ?? [];
  const covered = active.filter((alert) => matches(parsed, alert.labels));
  const others = active.length - covered.length;
  return (
    <div class="preview">
      <h3>{covered.length === 0 ? 'Covers no alert that is pending or firing now' : `Covers ${covered.length} of ${active.length} alerts`}</h3>
      <ul>
        {covered.slice(0, 6).map((alert) => (
          <AlertLine key={alert.fingerprint} alert={alert} />
        ))}
      </ul>
      {covered.length > 6 && <p class="muted small">and {covered.length - 6} more</p>}
      {covered.length > 0 && others > 0 && <p class="muted small">{others} others go on notifying</p>}
    </div>
  );
}
