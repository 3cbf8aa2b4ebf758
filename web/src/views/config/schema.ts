// The JSON Schema of the configuration, as far as completion needs it: what may stand at a path.

export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
  allOf?: Schema[];
  oneOf?: Schema[];
  then?: Schema;
  const?: unknown;
  enum?: unknown[];
  required?: string[];
}

/** Step of a path: a key, or null for an entry of a list. */
export type Step = string | null;

/** Returns all schemas that may hold for what is at `path`: of alternatives, each. */
export function schemasAt(root: Schema, path: Step[]): Schema[] {
  return path.reduce<Schema[]>((schemas, step) => schemas.flatMap((schema) => below(root, schema, step)), [root]);
}

function below(root: Schema, schema: Schema, step: Step): Schema[] {
  return alternatives(root, schema).flatMap((one) => {
    if (step === null) return one.items ? [one.items] : [];
    const property = one.properties?.[step];
    if (property) return [property];
    return typeof one.additionalProperties === 'object' ? [one.additionalProperties] : [];
  });
}

/** Returns a schema with all that it refers to or is composed of. */
function alternatives(root: Schema, schema: Schema, depth = 0): Schema[] {
  if (depth > 8) return [];
  const name = schema.$ref?.replace('#/$defs/', '');
  const parts = [name !== undefined ? root.$defs?.[name] : undefined, schema.then, ...(schema.anyOf ?? []), ...(schema.allOf ?? []), ...(schema.oneOf ?? [])];
  return [schema, ...parts.flatMap((part) => (part ? alternatives(root, part, depth + 1) : []))];
}

export interface KeyChoice {
  key: string;
  description: string;
  /** What stands behind the key: `list`, `section`, or a value. */
  form: 'list' | 'section' | 'value';
  required: boolean;
}

/** Returns the keys that may stand in the mapping at `path`, required ones first. */
export function keysAt(root: Schema, path: Step[]): KeyChoice[] {
  const keys = new Map<string, KeyChoice>();
  for (const schema of schemasAt(root, path).flatMap((one) => alternatives(root, one))) {
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      const known = keys.get(key);
      const required = schema.required?.includes(key) ?? false;
      if (known) known.required ||= required;
      else keys.set(key, { key, description: describe(root, property), form: formOf(root, property), required });
    }
  }
  return [...keys.values()].sort((a, b) => Number(b.required) - Number(a.required));
}

/** Returns the words that may stand as the value at `path`, each with its meaning. */
export function valuesAt(root: Schema, path: Step[]): { value: string; description: string }[] {
  const found = new Map<string, string>();
  for (const schema of schemasAt(root, path).flatMap((one) => alternatives(root, one))) {
    if (schema.const !== undefined) found.set(String(schema.const), schema.description ?? '');
    for (const value of schema.enum ?? []) found.set(String(value), '');
    if ([schema.type].flat().includes('boolean')) for (const value of ['true', 'false']) found.set(value, '');
  }
  return [...found].map(([value, description]) => ({ value, description }));
}

/** Returns the description of what is at `path`. */
export function descriptionAt(root: Schema, path: Step[]): string {
  return schemasAt(root, path).map((schema) => describe(root, schema)).find(Boolean) ?? '';
}

function describe(root: Schema, schema: Schema): string {
  return alternatives(root, schema).map((one) => one.description).find(Boolean) ?? '';
}

function formOf(root: Schema, schema: Schema): KeyChoice['form'] {
  const all = alternatives(root, schema);
  const types = new Set(all.flatMap((one) => one.type ?? []));
  if (types.has('array')) return 'list';
  return types.has('object') || all.some((one) => one.properties) ? 'section' : 'value';
}
