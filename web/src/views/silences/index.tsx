// Silences and maintenance windows: a list, and four weeks of a calendar.
import type { Silence } from '../../api/types';
import { open } from '../../store/dialogs';
import { useResource } from '../../store/resource';
import { mayChange } from '../../store/session';
import { queryOf, setQuery } from '../../app/router';
import { useKeys } from '../../app/keys';
import { Filter, hasWords } from '../../components/Filter';
import { Icon } from '../../components/Icon';
import { Loadable, Note } from '../../components/Loadable';
import { Calendar } from './Calendar';
import { List } from './List';

export default function Silences() {
  const silences = useResource<{ silences: Silence[] }>(() => 'api/v1/silences');
  useKeys([{ keys: 'n', text: 'New silence', run: () => open({ kind: 'silence' }) }]);
  return (
    <>
      <h1 class="hidden">Silences and maintenance</h1>
      <Loadable resource={silences} lines={6}>
        {({ silences }) => <Both silences={silences} />}
      </Loadable>
    </>
  );
}

function Both({ silences }: { silences: Silence[] }) {
  const wanted = hasWords(queryOf('q') ?? '');
  const expired = queryOf('expired') === 'show';
  const matching = silences.filter((one) => wanted(`${one.id} ${one.matchers} ${one.createdBy} ${one.comment}`));
  const current = matching.filter((one) => one.state !== 'expired');
  const inForce = current.filter((one) => one.inForce).length;
  return (
    <div class="stack">
      <header class="bar">
        <h2>{inForce === 0 ? 'Nothing is silenced now' : `${inForce} in force`}</h2>
        <Filter label="Filter silences" placeholder="Matcher, author, comment" />
        <button type="button" aria-pressed={expired} onClick={() => setQuery({ expired: expired ? null : 'show' })}>
          Expired <span class="num muted">{matching.length - current.length}</span>
        </button>
        {mayChange.value && (
          <button type="button" class="primary" onClick={() => open({ kind: 'silence' })}>
            <Icon name="add" /> New silence
          </button>
        )}
      </header>
      {(expired ? matching : current).length === 0 ? <Note icon="info">No silences. Press s on an alert, or n here.</Note> : <List silences={expired ? matching : current} />}
      <Calendar silences={current} />
    </div>
  );
}
