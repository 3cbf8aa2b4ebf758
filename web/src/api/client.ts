// Requests to the agent that served this page. All paths are relative to the document's base, so the page works
// below a sub-path of a proxy.

/** URL below which the page and the API are, with a slash at its end. */
export const BASE = new URL('.', document.baseURI);

/** Cause of a failed request, by which a view decides on its message. */
export type Cause =
  | 'disconnected' // the agent did not answer
  | 'unauthorized' // a login is needed
  | 'forbidden' // this client may not do it
  | 'missing' // the agent has no such endpoint or object
  | 'invalid' // the request is wrong, such as a PromQL expression
  | 'unavailable' // the agent cannot answer now, such as without history
  | 'failed';

/** Error of a request. `message` is the agent's, with its hint. */
export class ApiError extends Error {
  constructor(
    readonly cause: Cause,
    message: string,
    readonly status: number = 0,
  ) {
    super(message);
  }
}

/** Returns an error of any kind as one of a request. */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError('failed', String(error));
}

/** Observer of every answer; the store uses it for the state of the connection. */
export const observers = new Set<(reached: boolean) => void>();

/** Returns `data` of a GET. Paths are relative: `api/v1/alerts`. */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return request<T>(path, signal ? { signal } : {});
}

/** Posts a JSON object, and returns `data` of the answer. */
export async function postJson<T>(path: string, body?: unknown): Promise<T> {
  return sendJson<T>('POST', path, body);
}

export async function sendJson<T>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T> {
  if (body === undefined) return request<T>(path, { method });
  return request<T>(path, {
    method,
    body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json' },
  });
}

/** Returns a path with a query; absent values are left out, lists are repeated. */
export function withQuery(path: string, query: Record<string, string | number | string[] | null | undefined>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) params.append(name, String(item));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

async function request<T>(path: string, init: RequestInit): Promise<T> {
  const response = await reach(path, init);
  const text = await response.text().catch(() => '');
  const answer = parse(text);
  if (response.ok && answer?.status === 'success') return answer.data as T;
  if (response.ok && answer === undefined && text === '') return undefined as T;
  throw new ApiError(causeOf(response.status, answer?.errorType), answer?.error ?? plain(response, text), response.status);
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(new URL(path, BASE), {
      credentials: 'same-origin',
      cache: 'no-store',
      ...init,
      // With `X-Requested-With` a 401 opens no dialog of the browser.
      headers: { Accept: 'application/json', 'X-Requested-With': 'bellwether', ...init.headers },
    });
    observers.forEach((observe) => observe(true));
    return response;
  } catch (error) {
    if (init.signal?.aborted) throw error;
    observers.forEach((observe) => observe(false));
    throw new ApiError('disconnected', 'the agent does not answer');
  }
}

interface Answer {
  status?: string;
  data?: unknown;
  error?: string;
  errorType?: string;
}

function parse(text: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Answer) : undefined;
  } catch {
    return undefined;
  }
}

function causeOf(status: number, errorType: string | undefined): Cause {
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'forbidden';
  if (status === 404 || status === 405 || status === 410) return 'missing';
  if (status === 502 || status === 504) return 'disconnected';
  if (status === 503 || errorType === 'unavailable' || errorType === 'timeout') return 'unavailable';
  if (status === 400 || status === 409 || status === 422 || status === 429) return 'invalid';
  return 'failed';
}

function plain(response: Response, text: string): string {
  const line = text.startsWith('<') ? '' : (text.split('\n', 1)[0] ?? '').slice(0, 200);
  return line || `HTTP ${response.status} ${response.statusText}`.trim();
}
