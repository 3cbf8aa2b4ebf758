import type { Tone } from '../store/agent';
import { Icon } from './Icon';

/** A state by colour, icon and word. */
export function Badge({ tone, word }: { tone: Tone; word: string }) {
  return (
    <span class={`badge tone-${tone}`}>
      <Icon name={tone} size={14} />
      {word}
    </span>
  );
}

/** A state in a row of many: icon and colour, the word for screen readers and on hover. */
export function Dot({ tone, label }: { tone: Tone; label: string }) {
  return (
    <span class={`dot tone-${tone}`} role="img" aria-label={label} title={label}>
      <Icon name={tone} size={14} />
    </span>
  );
}
