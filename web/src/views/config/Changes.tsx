// What a changed configuration adds, removes and alters.

interface Difference {
  added: string[];
  removed: string[];
  altered: string[];
}

export interface ChangesData {
  metrics: Difference;
  rules: Difference;
  channels: Difference;
}

const SIGNS = { added: '+', removed: '−', altered: '~' } as const;

export function Changes({ changes, changed }: { changes: ChangesData | null; changed: boolean }) {
  const kinds = Object.entries(changes ?? {}) as [keyof ChangesData, Difference][];
  const lines = kinds.flatMap(([kind, difference]) =>
    (Object.keys(SIGNS) as (keyof Difference)[]).flatMap((sign) => difference[sign].map((name) => ({ kind: kind.slice(0, -1), sign, name }))),
  );
  return (
    <section class="card" aria-live="polite">
      <h2>What changes</h2>
      {lines.length === 0 ? (
        <p class="muted">{changed ? (changes ? 'No metric, rule or channel changes.' : 'Known once there are no errors.') : 'Nothing is changed yet.'}</p>
      ) : (
        <ul class="changes">
          {lines.map(({ kind, sign, name }) => (
            <li key={`${kind} ${sign} ${name}`}>
              <span class={sign} aria-hidden="true">{SIGNS[sign]}</span> <span class="muted">{kind}</span> <b>{name}</b> <span class="muted">{sign}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
