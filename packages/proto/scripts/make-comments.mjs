/**
 * Writes src/comments.ts: the comments of the contract by full name, which generated code does not carry. They describe the
 * operations and fields in the OpenAPI document.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

// Numbers of the fields of FileDescriptorProto, DescriptorProto, EnumDescriptorProto and ServiceDescriptorProto: locations are paths of them.
const FILE = { 4: 'messageType', 5: 'enumType', 6: 'service' };
const INNER = { messageType: { 2: 'field', 3: 'nestedType', 4: 'enumType' }, nestedType: { 2: 'field', 3: 'nestedType', 4: 'enumType' }, enumType: { 2: 'value' }, service: { 2: 'method' } };

const root = new URL('..', import.meta.url);
const image = execFileSync('buf', ['build', 'proto', '-o', '-#format=binpb'], { cwd: root, maxBuffer: 64 * 1024 * 1024 });
const comments = {};
for (const file of fromBinary(FileDescriptorSetSchema, image).file) {
  if (!file.package.startsWith('dd2.')) continue;
  for (const { path, leadingComments } of file.sourceCodeInfo?.location ?? []) {
    const name = leadingComments.trim() === '' ? undefined : nameOf(file, path);
    if (name !== undefined) comments[`${file.package}.${name}`] = leadingComments.trim().replace(/\s*\n\s*/g, ' ');
  }
}
const rows = Object.entries(comments).sort(([one], [other]) => (one < other ? -1 : 1)).map(([name, comment]) => `  ${JSON.stringify(name)}: ${JSON.stringify(comment)},\n`);
writeFileSync(
  new URL('src/comments.ts', root),
  `// Made from the .proto files by scripts/make-comments.mjs (\`pnpm run generate\`).

/** Comments of the contract by full name: messages, fields, enums, their values, services and methods. */
export const comments: Readonly<Record<string, string>> = {
${rows.join('')}};
`,
);

/** The name of what a location is about, undefined for what has none. */
function nameOf(file, path) {
  let descriptor = file;
  let kinds = FILE;
  const names = [];
  for (let at = 0; at < path.length; at += 2) {
    const kind = kinds?.[path[at]];
    const index = path[at + 1];
    if (kind === undefined || index === undefined) return undefined;
    descriptor = descriptor[kind][index];
    names.push(descriptor.name);
    kinds = INNER[kind];
  }
  return names.length > 0 ? names.join('.') : undefined;
}
