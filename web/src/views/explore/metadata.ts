// Type and help of metrics, and what is known of their series.
import { getJson } from '../../api/client';

export interface Metadata {
  type: string;
  help: string;
}

export type MetadataByName = Record<string, Metadata[]>;

let all: Promise<MetadataByName> | undefined;

/** Returns the metadata of all metrics; asked once in the life of the page. */
export function allMetadata(): Promise<MetadataByName> {
  all ??= getJson<MetadataByName>('api/v1/metadata').catch((error: unknown) => {
    all = undefined;
    throw error;
  });
  return all;
}

const SUFFIXES = /_(bucket|sum|count|total)$/;

/** Returns the metadata of a metric, or of the histogram or summary that the series belongs to. */
export async function metadataOf(name: string): Promise<Metadata | undefined> {
  const known = await allMetadata().catch((): MetadataByName => ({}));
  return (known[name] ?? known[name.replace(SUFFIXES, '')])?.[0];
}
