// What fired before, page by page.
import { useState } from 'preact/hooks';
import { getJson, withQuery } from '../../api/client';
import type { AlertHistory, HistoryRecord } from '../../api/types';
import { attempt } from '../../store/toast';
import { range } from '../../store/range';
import { useResource } from '../../store/resource';
import { Card } from '../../components/Card';
import { EventList } from '../../components/Event';
import { Loadable } from '../../components/Loadable';

interface Props {
  /** Of one alert, or of all. */
  fingerprint?: string;
  kind?: 'transition' | 'notification';
  channel?: string;
  title?: string;
}

const LIMIT = 30;

export function History({ fingerprint, kind, channel, title = 'History' }: Props) {
  const query = () => {
    const { start } = range.value;
    return { fingerprint, kind, channel, start: fingerprint ? undefined : Math.floor(start / 60) * 60, limit: LIMIT };
  };
  const first = useResource<AlertHistory>(() => withQuery('api/v1/alerts/history', query()), { every: 2 });
  const isShown = (record: HistoryRecord) => record.event !== 'queued';
  const [older, setOlder] = useState<{ records: HistoryRecord[]; cursor: string | null } | null>(null);
  const more = async (cursor: string) => {
    await attempt('', async () => {
      const page = await getJson<AlertHistory>(withQuery('api/v1/alerts/history', { ...query(), cursor }));
      setOlder({ records: [...(older?.records ?? []), ...page.records], cursor: page.nextCursor });
    });
  };
  return (
    <Card title={title}>
      <Loadable resource={first} empty={({ records }) => (records.length === 0 ? 'Nothing in this time range' : null)}>
        {({ records, nextCursor }) => {
          const cursor = older ? older.cursor : nextCursor;
          const all = [...records, ...(older?.records ?? [])].filter(isShown);
          return (
            <>
              <EventList records={all} links={!fingerprint} />
              {cursor && (
                <button type="button" onClick={() => void more(cursor)}>
                  Older
                </button>
              )}
            </>
          );
        }}
      </Loadable>
    </Card>
  );
}
