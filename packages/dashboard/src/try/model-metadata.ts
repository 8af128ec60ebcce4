/** Field numbers of ONNX: entries of a model's metadata, and the key and value of one. */
const MODEL_METADATA = 14;
const ENTRY = { key: 1, value: 2 } as const;

/** What an ONNX file says about itself: its metadata by key. Its graph is skipped. @throws {RangeError} when it is no ONNX file */
export function readMetadata(model: Uint8Array): ReadonlyMap<string, string> {
  const text = new TextDecoder();
  const metadata = new Map<string, string>();
  for (const { number, content } of fieldsOf(model)) {
    if (number !== MODEL_METADATA || !content) continue;
    const entry = new Map(Array.from(fieldsOf(content), (field) => [field.number, text.decode(field.content)]));
    metadata.set(entry.get(ENTRY.key) ?? '', entry.get(ENTRY.value) ?? '');
  }
  return metadata;
}

/** The fields of a protobuf message; those that hold bytes with their content. */
function* fieldsOf(message: Uint8Array): Generator<{ readonly number: number; readonly content?: Uint8Array }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; factor < 2 ** 63; factor *= 128) {
      const byte = message[at++];
      if (byte === undefined) break;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new RangeError('the file is not an ONNX model');
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        varint();
        yield { number };
        break;
      case 2: {
        const length = varint();
        if (at + length > message.length) throw new RangeError('the file is not an ONNX model');
        yield { number, content: message.subarray(at, at + length) };
        at += length;
        break;
      }
      default:
        throw new RangeError('the file is not an ONNX model');
    }
  }
}
