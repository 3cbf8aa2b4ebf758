// The last events: transitions of alerts, and notifications that failed.
import type { AlertHistory } from '../../api/types';
import { Card } from '../../components/Card';
import { EventList } from '../../components/Event';
import { Loadable } from '../../components/Loadable';
import { useResource } from '../../store/resource';

export function Events() {
  const history = useResource<AlertHistory>(() => 'api/v1/alerts/history?kind=transition&limit=10');
  return (
    <Card title="Last events">
      <Loadable resource={history} empty={({ records }) => (records.length === 0 ? 'Transitions of alerts will appear here' : null)}>
        {({ records }) => <EventList records={records} />}
      </Loadable>
    </Card>
  );
}
