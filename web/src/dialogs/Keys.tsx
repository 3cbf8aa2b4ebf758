// All keys of the page and of the view that is shown.
import { PAGE_KEYS, viewKeys, type Key } from '../app/keys';
import { Dialog } from '../components/Dialog';

export function KeysDialog({ onClose }: { onClose: () => void }) {
  const here = [...viewKeys].flat();
  return (
    <Dialog title="Keys" class="wide-dialog" onClose={onClose}>
      {here.length > 0 && <List title="This view" keys={here} />}
      <List title="Everywhere" keys={PAGE_KEYS.filter(({ keys }) => !keys.startsWith('g '))} />
      <List title="Go to" keys={PAGE_KEYS.filter(({ keys }) => keys.startsWith('g '))} />
      <button type="button" onClick={onClose} autofocus>
        Close
      </button>
    </Dialog>
  );
}

function List({ title, keys }: { title: string; keys: Key[] }) {
  return (
    <section>
      <h3>{title}</h3>
      <dl class="keys">
        {keys.map(({ keys, text }) => (
          <div key={keys}>
            <dt>
              {keys.split(' ').map((key) => (
                <kbd key={key}>{SIGNS[key] ?? key}</kbd>
              ))}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const SIGNS: Record<string, string> = { ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Enter: '↵' };
