// What the whole page shows of the agent: its host, summary and worst state.
import { computed } from '@preact/signals';
import type { RuntimeInfo, Severity, Summary } from '../api/types';
import { resource } from './resource';

/** Summary with alerts and health, at each refresh. */
export const summary = resource<Summary>(() => 'api/v1/summary');

export const runtime = resource<RuntimeInfo>(() => 'api/v1/status/runtimeinfo', { every: 60 });

export const host = computed(() => runtime.state.value.data?.hostname ?? '');

export type Tone = 'ok' | 'info' | 'warning' | 'critical' | 'emergency' | 'unknown';

/** The one state of the agent, and the worst reason for it. */
export const worst = computed<{ tone: Tone; word: string; reason: string }>(() => {
  const data = summary.state.value.data;
  if (!data) return { tone: 'unknown', word: 'Unknown', reason: 'no data yet' };
  const firing = data.alerts.active.filter((alert) => alert.state === 'firing').sort(bySeverity);
  const first = firing[0];
  if (first) {
    const more = firing.length > 1 ? ` and ${firing.length - 1} more` : '';
    return { tone: toneOf(first.severity), word: capital(first.severity), reason: `${first.labels.alertname ?? first.rule}${more}` };
  }
  const failing = data.collectors.failing;
  if (failing.length > 0) return { tone: 'warning', word: 'Degraded', reason: `collector ${failing.join(', ')}` };
  const channel = data.health.channels.find((channel) => channel.lastError !== null);
  if (channel) return { tone: 'warning', word: 'Degraded', reason: `channel ${channel.name}` };
  if (data.health.status !== 'ok' && data.status !== 'ok' && data.status !== 'healthy')
    return { tone: 'warning', word: capital(data.status), reason: storageReason(data) };
  return { tone: 'ok', word: 'Healthy', reason: 'nothing is firing' };
});

const ORDER = ['emergency', 'critical', 'warning', 'info'];

/** Orders worst first. */
export function bySeverity(a: { severity: Severity }, b: { severity: Severity }): number {
  return severityRank(a.severity) - severityRank(b.severity);
}

export function toneOf(severity: Severity): Tone {
  return ORDER.includes(severity) ? (severity as Tone) : 'unknown';
}

/** Returns 0 for the worst severity. */
export function severityRank(severity: Severity): number {
  const index = ORDER.indexOf(severity);
  return index < 0 ? ORDER.length : index;
}

function storageReason({ health }: Summary): string {
  return health.history?.error ?? health.state.error ?? health.lastReload?.error ?? 'see health';
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
