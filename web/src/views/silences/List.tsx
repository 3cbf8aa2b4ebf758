import type { Silence } from '../../api/types';
import { summary, type Tone } from '../../store/agent';
import { endSilence } from '../../store/changes';
import { open } from '../../store/dialogs';
import { matches, parseMatchers } from '../../store/matchers';
import { mayChange } from '../../store/session';
import { Ago } from '../../components/Ago';
import { Badge } from '../../components/Severity';
import { recurrenceText } from './occurrences';

const ORDER = ['active', 'pending', 'expired'];

/** Silences: those in force first, then by their end. */
export function List({ silences }: { silences: Silence[] }) {
  const sorted = [...silences].sort(
    (a, b) => Number(b.inForce) - Number(a.inForce) || ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.endsAt ?? '9').localeCompare(b.endsAt ?? '9'),
  );
  return (
    <div class="card flush scroll">
      <table class="rows">
        <thead>
          <tr>
            <th>State</th>
            <th>Matchers</th>
            <th>When</th>
            <th class="right">Covers</th>
            <th>By</th>
            <th>
              <span class="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((silence) => (
            <Row key={silence.id} silence={silence} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ silence }: { silence: Silence }) {
  const [tone, word] = stateOf(silence);
  const recurrence = recurrenceText(silence);
  return (
    <tr>
      <td>
        <Badge tone={tone} word={word} />
      </td>
      <td>
        <span class="mono">{silence.matchers}</span>
        {silence.comment && <p class="muted">{silence.comment}</p>}
      </td>
      <td>
        {recurrence && <p>{recurrence}</p>}
        <p class={recurrence ? 'muted small' : ''}>
          {silence.state === 'pending' && (
            <>
              begins <Ago at={silence.startsAt} />,{' '}
            </>
          )}
          {silence.endsAt ? (
            <>
              {silence.state === 'expired' ? 'ended' : 'ends'} <Ago at={silence.endsAt} />
            </>
          ) : (
            'no end'
          )}
        </p>
      </td>
      <td class="right num" data-label="covers">{silence.state === 'expired' ? '' : covers(silence)}</td>
      <td data-label="by">
        {silence.createdBy}
        {silence.source && <p class="muted small">{silence.source}</p>}
      </td>
      <td class="right">{mayChange.value && !silence.configured && silence.state !== 'expired' && <Actions silence={silence} />}</td>
    </tr>
  );
}

function Actions({ silence }: { silence: Silence }) {
  return (
    <span class="actions">
      {!silence.times && !silence.intervals && (
        <button type="button" onClick={() => open({ kind: 'silence', silence })}>
          Change
        </button>
      )}
      <button type="button" onClick={() => void endSilence(silence.id)}>
        End
      </button>
    </span>
  );
}

/** Number of alerts that are pending or firing now and match. */
function covers({ matchers }: Silence): number {
  const parsed = parseMatchers(matchers);
  return (summary.state.value.data?.alerts.active ?? []).filter((alert) => parsed && matches(parsed, alert.labels)).length;
}

function stateOf(silence: Silence): [Tone, string] {
  if (silence.state === 'expired') return ['unknown', 'expired'];
  if (silence.inForce) return ['info', silence.configured ? 'maintenance' : 'in force'];
  return ['unknown', silence.state === 'pending' ? 'to come' : 'waits for its time'];
}
