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

export interface HistoryRecord {
  at: Time;
  kind: 'transition' | 'notification';
  event: string;
  alertname: string;
  rule?: string;
  severity: Severity;
  fingerprint: string;
  labels: Labels;
  state: string;
  reason: string;
  value?: number;
  threshold?: number;
  message?: string;
  firedValue?: number;
  peak?: number;
  firedForSeconds?: number;
  channel?: string;
  receiver?: string;
  cause?: string;
  muteReason?: string;
  dropReason?: string;
  error?: string;
  attempt?: number;
  retryInSeconds?: number;
}

export interface AlertHistory {
  records: HistoryRecord[];
  nextCursor: string | null;
  damaged: number;
}

export interface RouteMatch {
  route: string;
  matchers: string | null;
  receiver: string | null;
  channels: string[];
  fallback: string | null;
  group: unknown;
  groupWait: string;
  groupInterval: string;
  repeatInterval: string | null;
  mutedBy: string[] | null;
  escalation: { after: string; receiver: string }[];
}

export interface GroupStatus extends RouteMatch {
  notifiedSeverity: string | null;
  firstNotified: Time | null;
  muteReason: { name: string; detail: string } | null;
  lastMessage: Time | null;
  nextFlush: Time | null;
  nextRepeat: Time | null;
  escalatedTo: unknown;
  fallbackNotified: unknown;
}

export interface ExplainedAlert {
  fingerprint: string;
  labels: Labels;
  severity: Severity;
  state: string;
  value: number | string | null;
  threshold: number | null;
  activeAt: Time;
  firedAt: Time | null;
  missingFor: string | null;
  pendingFor: string | null;
  reason: string | null;
  flapping: boolean;
  acknowledged: { by: string; comment: string; at: Time; until: Time | null } | null;
  groups: GroupStatus[];
}

export interface ExplainedRule {
  rule: string;
  condition: string;
  state: string;
  duration: string;
  keepFiringFor: string;
  onNoData: string;
  lastEvaluation: Time | null;
  lastError: string | null;
  note: string | null;
  alerts: ExplainedAlert[];
}

export interface Rule {
  type: 'alerting' | 'recording';
  name: string;
  /** PromQL, if there is an equivalent. */
  query: string;
  condition?: string;
  labels: Labels;
  annotations?: Labels;
  health: 'ok' | 'err' | 'unknown';
  lastError: string;
  evaluationTime: number;
  lastEvaluation: Time;
  state?: string;
  /** Seconds. */
  duration?: number;
  keepFiringFor?: number;
  alerts?: Alert[];
  note?: string | null;
}

/** An alert that a rule would have had. */
export interface Episode {
  labels: Labels;
  severity: Severity;
  activeAt: Time;
  firedAt: Time;
  resolvedAt: Time | null;
  value: number | null;
  reason: string;
}

export interface BacktestOutcome {
  from: Time;
  to: Time;
  samples: number;
  warnings: string[];
  rules: { name: string; condition: string; fired: number; perWeek: number; averted: number; error: string | null; episodes: Episode[] }[];
}

export interface Backtest {
  /** Of the rule that is in force. */
  before: BacktestOutcome | null;
  after: BacktestOutcome;
  changes: Record<string, { before?: Episode; after?: Episode }[]> | null;
}

export interface RuleTestFinding {
  title: string;
  line: number;
  column: number;
  lines: { kind: 'expected' | 'got' | 'note'; text: string }[];
}

export interface RuleTests {
  passed: number;
  failed: number;
  warnings: string[];
  tests: { name: string; line: number; passed: boolean; failures: RuleTestFinding[]; warnings: RuleTestFinding[] }[];
}

export interface RuleGroup {
  name: string;
  file: string;
  rules: Rule[];
  interval: number;
  evaluationTime: number;
  lastEvaluation: Time;
}

/** Recurring times of a silence, as in Alertmanager. */
export interface TimeInterval {
  times?: { start_time: string; end_time: string }[];
  weekdays?: string[];
  days_of_month?: string[];
  months?: string[];
  years?: string[];
  location?: string;
}

export interface Silence {
  id: string;
  state: 'active' | 'pending' | 'expired' | (string & {});
  inForce: boolean;
  matchers: string;
  startsAt: Time;
  endsAt: Time | null;
  createdBy: string;
  comment: string;
  updatedAt: Time;
  configured: boolean;
  source: string | null;
  times?: TimeInterval[];
  intervals?: string[];
  location?: string;
}

export interface DeadLetter {
  id: string;
  channel: string;
  at: Time;
  reason: string;
  error: string;
  alertname: string;
  fingerprint: string;
  severity: Severity;
  labels: Labels;
  message: string;
  value: number | null;
  startsAt: Time;
  endsAt: Time | null;
}

export interface Metric {
  name: string;
  exportedName: string;
  type: string;
  help: string;
  labels: string[];
  collector: string;
  intervalSeconds: number;
  series: number;
  values: MetricValue[];
}

export interface MetricValue {
  labels: Labels;
  value?: number | string | null;
  count?: number;
  sum?: number;
  quantiles?: Record<string, number | string>;
}

export interface Bottleneck {
  name: string;
  resource: string;
  component: string | null;
  labels: Labels;
  /** 0 to 100. */
  impact: number;
  value: number;
  unit: string;
  warning: number;
  critical: number;
  promql: string;
  advice: string;
}

export interface Bottlenecks {
  time: Time;
  bottlenecks: Bottleneck[];
  clear: Bottleneck[];
  withoutData: string[];
  failed: { name: string; error: string }[];
}

export interface Score {
  score: number;
  rating: string;
  parts: { cause: string; name: string; points: number; reason: string }[];
}

export interface Correlations {
  metric: string;
  alert: string | null;
  from: Time;
  to: Time;
  stepSeconds: number;
  compared: number;
  related: { series: string; metric: string; labels: Labels; coefficient: number; lagSeconds: number; kind: string; significant: boolean }[];
}

export interface Target {
  labels: Labels;
  scrapePool: string;
  lastError: string;
  lastScrape: Time;
  lastScrapeDuration: number;
  health: string;
  scrapeInterval: string;
  scrapeTimeout: string;
}

export interface Session {
  user: string | null;
  /** null before a login that is needed. */
  role: 'viewer' | 'operator' | 'admin' | null;
  may_change: boolean;
  login: boolean;
}
