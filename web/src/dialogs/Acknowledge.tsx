// An acknowledgement: somebody works on this alert.
import { useState } from 'preact/hooks';
import type { Alert } from '../api/types';
import { acknowledge } from '../store/changes';
import { AlertLine } from '../components/AlertLine';
import { Dialog } from '../components/Dialog';
import { Author, Buttons, Choices, Comment, initialAuthor } from './fields';

const ENDS = [
  { value: null, label: 'Until it resolves' },
  { value: '1h', label: '1 h' },
  { value: '4h', label: '4 h' },
  { value: '1d', label: '1 d' },
];

export function AcknowledgeDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const [by, setBy] = useState(initialAuthor());
  const [comment, setComment] = useState('');
  const [duration, setDuration] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (await acknowledge(alert.fingerprint, by, comment, duration)) onClose();
  };
  return (
    <Dialog title={`Acknowledge ${alert.labels.alertname ?? alert.rule}`} onClose={onClose}>
      <form onSubmit={submit}>
        <ul>
          <AlertLine alert={alert} />
        </ul>
        <Choices<string | null> label="Ends" choices={ENDS} value={duration} onChange={setDuration} />
        <Author value={by} onChange={setBy} />
        <Comment value={comment} onChange={setComment} placeholder="What is being done" />
        <p class="muted small">Repeats and escalations of this alert stop. Its end is still notified.</p>
        <Buttons>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" autofocus>
            Acknowledge
          </button>
        </Buttons>
      </form>
    </Dialog>
  );
}
