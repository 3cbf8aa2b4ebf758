// Notifications that their channels rejected for good.
import { useState } from 'preact/hooks';
import type { DeadLetter } from '../../api/types';
import { toneOf } from '../../store/agent';
import { discard, resend } from '../../store/changes';
import { open } from '../../store/dialogs';
import { useResource } from '../../store/resource';
import { mayChange } from '../../store/session';
import { href } from '../../app/router';
import { Ago } from '../../components/Ago';
import { Card } from '../../components/Card';
import { Icon } from '../../components/Icon';
import { Loadable } from '../../components/Loadable';
import { Badge } from '../../components/Severity';

export function DeadLetters() {
  const letters = useResource<{ deadLetters: DeadLetter[] }>(() => 'api/v1/dead-letters');
  return (
    <Loadable resource={letters} lines={1}>
      {({ deadLetters }) => (deadLetters.length === 0 ? <Card title="No dead letters" /> : <Letters letters={deadLetters} reload={letters.reload} />)}
    </Loadable>
  );
}

function Letters({ letters, reload }: { letters: DeadLetter[]; reload: () => Promise<void> }) {
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  const ids = letters.map((letter) => letter.id).filter((id) => chosen.has(id));
  const selection = { id: ids.length > 0 ? ids : letters.map((letter) => letter.id) };
  const count = `${selection.id.length === letters.length ? 'all ' : ''}${selection.id.length}`;
  const toggle = (id: string) => choose(new Set(chosen.has(id) ? [...chosen].filter((other) => other !== id) : [...chosen, id]));
  const changed = () => {
    choose(new Set());
    return reload();
  };
  const actions = mayChange.value && (
    <>
      <button type="button" onClick={() => void resend(selection).then(changed)}>
        <Icon name="resend" /> Resend {count}
      </button>
      <button
        type="button"
        onClick={() =>
          open({
            kind: 'confirm',
            title: `Discard ${count} dead letters?`,
            text: 'They are deleted and never sent. Alerts that go on firing are notified again by their routes.',
            action: 'Discard',
            run: () => discard(selection).then(changed),
          })
        }
      >
        <Icon name="trash" /> Discard {count}
      </button>
    </>
  );
  return (
    <Card title={`${letters.length} ${letters.length === 1 ? 'dead letter' : 'dead letters'}: rejected by the channel, not sent again by itself`} actions={actions} class="scroll">
      <table class="rows">
        <thead>
          <tr>
            {mayChange.value && <th><span class="hidden">Chosen</span></th>}
            <th>Severity</th>
            <th>Alert</th>
            <th>Channel</th>
            <th>Error</th>
            <th class="right">Rejected</th>
          </tr>
        </thead>
        <tbody>
          {letters.map((letter) => (
            <tr key={letter.id}>
              {mayChange.value && (
                <td>
                  <input type="checkbox" aria-label={`Choose ${letter.alertname} by ${letter.channel}`} checked={chosen.has(letter.id)} onChange={() => toggle(letter.id)} />
                </td>
              )}
              <td>
                <Badge tone={toneOf(letter.severity)} word={letter.severity} />
              </td>
              <td>
                <a href={href(`alerts/${letter.fingerprint}`)}>{letter.alertname}</a> <span class="muted">{letter.message}</span>
              </td>
              <td data-label="by">{letter.channel}</td>
              <td>
                {letter.reason} <span class="muted">{letter.error}</span>
              </td>
              <td class="right num muted" data-label="rejected">
                <Ago at={letter.at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
