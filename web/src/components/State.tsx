// Followed data in their states: loading, an error, nothing there.
import type { ComponentChildren } from 'preact';
import { Icon } from './Icon';

interface Props {
  answer: { data: unknown[] | undefined; error: string | undefined };
  /** True if the data have content. */
  filled: boolean;
  children: () => ComponentChildren;
}

/** Shows the content, with an error above it while old data stay. */
export function State({ answer, filled, children }: Props) {
  const { data, error } = answer;
  return (
    <>
      {error && (
        <p class="widget-error" role="status" title={error}>
          <Icon name="warning" size={14} /> <span>{error}</span>
        </p>
      )}
      {data === undefined && !error && <p class="widget-loading" role="status" aria-label="Loading" />}
      {data !== undefined && (filled ? children() : <p class="widget-empty">No data</p>)}
    </>
  );
}
