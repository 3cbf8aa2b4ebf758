// Notifications: channels with their queues, dead letters, where an alert would go, and what was sent.
import { summary } from '../../store/agent';
import { Loadable } from '../../components/Loadable';
import { History } from '../alerts/History';
import { Channels } from './Channels';
import { DeadLetters } from './DeadLetters';
import { Route } from './Route';

export default function Notifications() {
  return (
    <div class="stack">
      <h1 class="hidden">Notifications</h1>
      <Loadable resource={summary} lines={5} empty={({ health }) => (health.channels.length === 0 ? 'No channels are configured. They go below alerting.notifications.channels of the configuration.' : null)}>
        {({ health }) => <Channels channels={health.channels} />}
      </Loadable>
      <DeadLetters />
      <Route />
      <History kind="notification" title="Sent, and not sent" />
    </div>
  );
}
