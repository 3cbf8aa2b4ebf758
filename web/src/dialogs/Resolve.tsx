// The end of an alert by hand.
import { useState } from 'preact/hooks';
import type { Alert } from '../api/types';
import { resolve } from '../store/changes';
import { AlertLine } from '../components/AlertLine';
import { Dialog } from '../components/Dialog';
import { Author, Buttons, Comment, initialAuthor } from './fields';

export function ResolveDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const [by, setBy] = useState(initialAuthor());
  const [comment, setComment] = useState('');
  const submit = async (event: Event) => {
    event.preventDefault();
    if (await resolve(alert.fingerprint, by, comment)) onClose();
  };
  return (
    <Dialog title={`Resolve ${alert.labels.alertname ?? alert.rule}`} onClose={onClose}>
      <form onSubmit={submit}>
        <ul>
          <AlertLine alert={alert} />
        </ul>
        <Author value={by} onChange={setBy} />
        <Comment value={comment} onChange={setComment} placeholder="Why it is over" />
        <p class="muted small">It fires anew only after its condition was false once.</p>
        <Buttons>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" autofocus>
            Resolve
          </button>
        </Buttons>
      </form>
    </Dialog>
  );
}
