// Shapes of the answers that the page uses. docs/http-api.md has all of them.

export type Severity = 'info' | 'warning' | 'critical' | 'emergency' | (string & {});
export type Labels = Record<string, string>;
/** RFC 3339. */
export type Time = string;

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt: Time;
  value: string;
  fingerprint: string;
  rule: string;
  severity: Severity;
  message: string;
  threshold: number | null;
  firedAt: Time | null;
  firedValue: number | null;
  peak: number | null;
  silencedBy?: string;
  inhibitedBy?: string;
  acknowledgedBy?: string;
}

export interface CollectorHealth {
  success: boolean | null;
  lastDurationSeconds: number;
  lastSuccess: Time | null;
  ageSeconds: number | null;
  reason: string | null;
  error: string | null;
  notes: string[];
}

export interface ChannelHealth {
  name: string;
  type: string;
  queued: number;
  deadLetters: number;
  sent: number;
  failed: number;
  rejected: number;
  dropped: number;
  lastError: string | null;
}

export interface StorageHealth {
  directory: string | null;
  series?: number;
  bytes: number;
  oldest: Time | null;
  damaged: number;
  error: string | null;
}

export interface Health {
  status: string;
  ready: boolean;
  version: string;
  startedAt: Time;
  uptimeSeconds: number;
  collectors: Record<string, CollectorHealth>;
  channels: ChannelHealth[];
  remoteWrite: { name: string; sent: number; lost: number; pendingBytes: number; newestSent: Time | null; lastError: string | null }[];
  history: StorageHealth | null;
  alertHistory: StorageHealth | null;
  state: { directory: string | null; error: string | null };
  lastReload: { at: Time; success: boolean; error: string | null } | null;
  configuration: { source: string; includedFiles: number; checksum: string; loadedAt: Time };
}

export interface Summary {
  status: string;
  version: string;
  uptimeSeconds: number;
  metrics: number;
  series: number;
  rules: number;
  alerts: { firing: number; pending: number; firingBySeverity: Record<string, number>; active: Alert[] };
  collectors: { enabled: number; failing: string[] };
  notifications: { channels: number; queued: number; sent: number; failed: number; dropped: number };
  health: Health;
  http: { connections: number; requests: number };
}

/** Answer of `query` and `query_range`. */
export interface QueryResult {
  resultType: 'vector' | 'matrix' | 'scalar' | 'string';
  result: { metric: Labels; value?: [number, string]; values?: [number, string][] }[];
}

export interface RuntimeInfo {
  hostname: string;
  serverTime: Time;
  startTime: Time;
  storageRetention: string;
}
