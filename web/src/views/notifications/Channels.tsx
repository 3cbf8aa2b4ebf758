// Channels: those that fail first.
import type { ChannelHealth } from '../../api/types';
import { testChannel } from '../../store/changes';
import { mayChange } from '../../store/session';
import type { Tone } from '../../store/agent';
import { Card } from '../../components/Card';
import { Badge } from '../../components/Severity';
import { failures } from '../../components/format';

export function Channels({ channels }: { channels: ChannelHealth[] }) {
  const sorted = [...channels].sort((a, b) => weight(b) - weight(a) || a.name.localeCompare(b.name));
  const failing = channels.filter((channel) => channel.lastError !== null);
  const names = failing.map((channel) => channel.name);
  const title = failures(names, `All ${channels.length} channels deliver${letters(channels)}`);
  return (
    <Card title={title} class="scroll">
      <table class="rows">
        <thead>
          <tr>
            <th>State</th>
            <th>Channel</th>
            <th>Type</th>
            <th class="right">Queued</th>
            <th class="right">Sent</th>
            <th class="right">Failed</th>
            <th class="right">Rejected</th>
            <th class="right">Dropped</th>
            <th class="right">Dead letters</th>
            <th>
              <span class="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((channel) => (
            <Row key={channel.name} channel={channel} />
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function Row({ channel }: { channel: ChannelHealth }) {
  const [tone, word] = stateOf(channel);
  return (
    <tr>
      <td>
        <Badge tone={tone} word={word} />
      </td>
      <td>
        {channel.name}
        {channel.lastError !== null && <p class="tone-critical small">{channel.lastError}</p>}
      </td>
      <td class="muted">{channel.type}</td>
      <Count label="queued" value={channel.queued} />
      <td class="right num" data-label="sent">{channel.sent}</td>
      <Count label="failed" value={channel.failed} />
      <Count label="rejected" value={channel.rejected} />
      <Count label="dropped" value={channel.dropped} />
      <Count label="dead letters" value={channel.deadLetters} />
      <td class="right">
        {mayChange.value && (
          <button type="button" title={`Send a test message by ${channel.name}`} onClick={() => void testChannel(channel.name)}>
            Test <span class="hidden">{channel.name}</span>
          </button>
        )}
      </td>
    </tr>
  );
}

function letters(channels: ChannelHealth[]): string {
  const count = channels.reduce((sum, channel) => sum + channel.deadLetters, 0);
  return count === 0 ? '' : `, ${count} dead ${count === 1 ? 'letter' : 'letters'}`;
}

/** A count that ought to be zero. */
function Count({ label, value }: { label: string; value: number }) {
  return (
    <td class={`right num ${value > 0 ? 'tone-warning' : 'muted'}`} data-label={label}>
      {value}
    </td>
  );
}

function stateOf(channel: ChannelHealth): [Tone, string] {
  if (channel.lastError !== null) return ['critical', 'fails'];
  if (channel.deadLetters > 0) return ['warning', 'dead letters'];
  return channel.queued > 0 ? ['info', 'queued'] : ['ok', 'delivers'];
}

function weight(channel: ChannelHealth): number {
  return (channel.lastError !== null ? 2 : 0) + (channel.deadLetters > 0 ? 1 : 0);
}
