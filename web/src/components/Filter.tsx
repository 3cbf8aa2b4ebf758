// A filter whose text is in the address. It takes effect once no key was pressed for a moment.
import { useEffect, useState } from 'preact/hooks';
import { queryOf, setQuery } from '../app/router';

const PAUSE = 150;

export function Filter({ label, placeholder = '', name = 'q' }: { label: string; placeholder?: string; name?: string }) {
  const applied = queryOf(name) ?? '';
  const [text, setText] = useState(applied);
  useEffect(() => setText(applied), [applied]);
  useEffect(() => {
    if (text === applied) return;
    const timer = setTimeout(() => setQuery({ [name]: text || null }), PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <input type="search" class="filter" aria-label={label} placeholder={placeholder} spellcheck={false} autocomplete="off" value={text} onInput={(event) => setText(event.currentTarget.value)} />
  );
}

/** Returns the test of a filter by words: all of them must occur. */
export function hasWords(text: string): (content: string) => boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (content) => words.every((word) => content.toLowerCase().includes(word));
}
