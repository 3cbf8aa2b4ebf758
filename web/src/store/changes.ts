// Changes that people make. Each says its outcome, and asks for the new state.
import { ApiError, postJson, sendJson, withQuery } from '../api/client';
import { refresh } from './clock';
import { attempt } from './toast';

export interface SilenceDraft {
  id?: string;
  matchers: string;
  starts_at?: string;
  ends_at?: string;
  duration?: string;
  created_by: string;
  comment: string;
}

export const createSilence = (draft: SilenceDraft) =>
  change(draft.id ? 'Silence changed' : 'Silenced', () => postJson('api/v1/silences', draft));

export const endSilence = (id: string) => change('Silence ended', () => sendJson('DELETE', `api/v1/silences/${encodeURIComponent(id)}`));

export const acknowledge = (fingerprint: string, by: string, comment: string, duration: string | null) =>
  change('Acknowledged', () => postJson(alert(fingerprint, 'acknowledge'), { by, comment, ...(duration ? { duration } : {}) }));

export const release = (fingerprint: string) => change('Acknowledgement ended', () => sendJson('DELETE', alert(fingerprint, 'acknowledge')));

export const resolve = (fingerprint: string, by: string, comment: string) =>
  change('Resolved', () => postJson(alert(fingerprint, 'resolve'), { by, comment }));

type Selection = { id: string[] } | { channel: string } | { all: 'true' };

export const resend = (letters: Selection) => change('Sent to the queue again', () => sendJson('POST', withQuery('api/v1/dead-letters', letters)));

export const discard = (letters: Selection) => change('Discarded', () => sendJson('DELETE', withQuery('api/v1/dead-letters', letters)));

export const testChannel = (name: string) =>
  change(`${name} has delivered a test message`, async () => {
    const { results } = await postJson<{ results: { delivered: boolean; error: string | null }[] }>(`api/v1/channels/${encodeURIComponent(name)}/test`, {});
    const failed = results.find((result) => !result.delivered);
    if (failed) throw new ApiError('failed', `${name}: ${failed.error ?? 'not delivered'}`);
  });

export const reloadConfiguration = () => change('Configuration reloaded', () => sendJson('POST', '-/reload'));

function alert(fingerprint: string, action: string): string {
  return `api/v1/alerts/${encodeURIComponent(fingerprint)}/${action}`;
}

async function change(done: string, action: () => Promise<unknown>): Promise<boolean> {
  const succeeded = await attempt(done, action);
  refresh();
  return succeeded;
}
