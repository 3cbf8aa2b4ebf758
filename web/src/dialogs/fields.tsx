// Fields that several dialogs have.
import type { ComponentChildren } from 'preact';
import { author, session, setAuthor } from '../store/session';

export function Author({ value, onChange }: { value: string; onChange: (name: string) => void }) {
  if (session.state.value.data?.user) return null; // the agent knows who it is
  return (
    <label class="field">
      <span>By</span>
      <input
        required
        maxLength={100}
        value={value}
        onInput={(event) => {
          onChange(event.currentTarget.value);
          setAuthor(event.currentTarget.value);
        }}
      />
    </label>
  );
}

export function initialAuthor(): string {
  return author.peek() || 'web';
}

export function Comment({ value, onChange, placeholder }: { value: string; onChange: (text: string) => void; placeholder: string }) {
  return (
    <label class="field">
      <span>Comment</span>
      <input maxLength={1000} value={value} placeholder={placeholder} onInput={(event) => onChange(event.currentTarget.value)} />
    </label>
  );
}

interface Choice<T> {
  value: T;
  label: string;
}

export function Choices<T>({ label, choices, value, onChange }: { label: string; choices: Choice<T>[]; value: T; onChange: (value: T) => void }) {
  return (
    <div class="presets" role="group" aria-label={label}>
      {choices.map((choice) => (
        <button key={choice.label} type="button" aria-pressed={choice.value === value} onClick={() => onChange(choice.value)}>
          {choice.label}
        </button>
      ))}
    </div>
  );
}

export function Buttons({ children }: { children: ComponentChildren }) {
  return <div class="dialog-buttons">{children}</div>;
}
