// Why it fires, and who is notified by which route.
import type { ExplainedAlert, GroupStatus } from '../../api/types';
import { Ago } from '../../components/Ago';
import { Card } from '../../components/Card';
import { Icon } from '../../components/Icon';

export function Explained({ alert }: { alert: ExplainedAlert }) {
  return (
    <Card title="Why, and who knows">
      <ul class="lines">
        {alert.reason && <li>{alert.reason}</li>}
        {alert.missingFor && alert.missingFor !== '0s' && <li class="tone-warning">Without data for {alert.missingFor}</li>}
        {alert.pendingFor && <li>Pending for {alert.pendingFor}</li>}
        {alert.flapping && <li class="tone-warning">Flapping: notifications are held together</li>}
        {alert.acknowledged && (
          <li>
            <Icon name="acknowledge" /> Acknowledged by {alert.acknowledged.by} <Ago at={alert.acknowledged.at} />
            {alert.acknowledged.comment && <>: {alert.acknowledged.comment}</>}
            {alert.acknowledged.until && (
              <>
                , ends <Ago at={alert.acknowledged.until} />
              </>
            )}
          </li>
        )}
      </ul>
      {alert.groups.length === 0 && <p class="muted">No route takes this alert, so nobody is notified.</p>}
      {alert.groups.map((group) => (
        <Group key={group.route + group.receiver} group={group} />
      ))}
    </Card>
  );
}

function Group({ group }: { group: GroupStatus }) {
  return (
    <div class="group-status">
      <p>
        <Icon name="notifications" /> <b>{group.receiver || group.channels.join(', ')}</b>{' '}
        <span class="muted">
          {group.receiver && `${group.channels.join(', ')} `}by {group.route}
        </span>
      </p>
      <p class="small">
        {group.muteReason ? (
          <span class="tone-warning">
            Not notified: {group.muteReason.name}
            {group.muteReason.detail && `, ${group.muteReason.detail}`}
          </span>
        ) : group.firstNotified ? (
          <>
            Notified <Ago at={group.lastMessage ?? group.firstNotified} />
            {group.nextRepeat && (
              <>
                , repeats <Ago at={group.nextRepeat} />
              </>
            )}
          </>
        ) : (
          <>
            Not notified yet
            {group.nextFlush && (
              <>
                , next flush <Ago at={group.nextFlush} />
              </>
            )}
          </>
        )}
        {group.escalation.length > 0 && (
          <span class="muted"> · escalates to {group.escalation.map(({ after, receiver }) => `${receiver} after ${after}`).join(', ')}</span>
        )}
      </p>
    </div>
  );
}
