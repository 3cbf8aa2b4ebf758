// The states of data, each with its own look: loading, no data yet, unavailable, error, stale, disconnected.
import type { ComponentChildren } from 'preact';
import { disconnectedSince } from '../store/connection';
import type { Loaded, Resource } from '../store/resource';
import type { ApiError } from '../api/client';
import { Ago } from './Ago';
import { Icon, type IconName } from './Icon';

interface Props<T> {
  resource: Resource<T>;
  /** Message of an answer without content, and how content comes; null if there is content. */
  empty?: (data: T) => ComponentChildren | null;
  /** Lines of the placeholder before the first answer. */
  lines?: number;
  children: (data: T) => ComponentChildren;
}

/** Shows data as `children` say. Old data stay while others load and while an error lasts, with a line that says so. */
export function Loadable<T>({ resource, empty, lines = 3, children }: Props<T>) {
  const state = resource.state.value;
  if (state.data === undefined) {
    return state.error ? <Failure error={state.error} retry={resource.reload} /> : <Placeholder lines={lines} />;
  }
  const message = empty?.(state.data) ?? null;
  return (
    <>
      {state.error && <StaleLine state={state} retry={resource.reload} />}
      {message === null ? children(state.data) : <Note icon="info">{message}</Note>}
    </>
  );
}

/** A quiet message in place of content. */
export function Note({ icon, children }: { icon: IconName; children: ComponentChildren }) {
  return (
    <p class="note">
      <Icon name={icon} /> <span>{children}</span>
    </p>
  );
}

/** An error in place of content. The page's own line says that the agent is disconnected. */
export function Failure({ error, retry }: { error: ApiError; retry?: () => void }) {
  const [message, hint] = split(error.message);
  const heading = HEADINGS[error.cause] ?? 'Error';
  return (
    <div class="failure" role="status">
      <Icon name={error.cause === 'disconnected' ? 'offline' : error.cause === 'unavailable' ? 'info' : 'warning'} />
      <div>
        <strong>{heading}</strong> <span>{message}</span>
        {hint && <p class="muted">{hint}</p>}
        {error.cause === 'disconnected' && disconnectedSince.value !== null && (
          <p class="muted">
            Disconnected for <Ago at={disconnectedSince.value} suffix="" />. The page asks again by itself.
          </p>
        )}
      </div>
      {retry && (
        <button type="button" onClick={() => retry()}>
          Retry
        </button>
      )}
    </div>
  );
}

function StaleLine<T>({ state, retry }: { state: Loaded<T>; retry: () => void }) {
  return (
    <p class="stale" role="status">
      <Icon name="clock" size={14} />
      <span>
        As of <Ago at={state.at} />: {split(state.error?.message ?? '')[0]}
      </span>
      <button type="button" class="link" onClick={() => retry()}>
        Retry
      </button>
    </p>
  );
}

function Placeholder({ lines }: { lines: number }) {
  return (
    <div class="placeholder" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}

/** Splits an error of the agent into its message and its hint. */
function split(text: string): [string, string | undefined] {
  const [message = text, hint] = text.split('; hint: ');
  return [message, hint];
}

const HEADINGS: Partial<Record<ApiError['cause'], string>> = {
  disconnected: 'Disconnected:',
  unauthorized: 'Login needed:',
  forbidden: 'Not allowed:',
  missing: 'Not found:',
  invalid: 'Not valid:',
  unavailable: 'Unavailable:',
};
