/** The JSON form of messages, and the descriptors that it follows from. */
export { create, fromJson, ScalarType, toJson, type DescEnum, type DescField, type DescMessage, type DescMethod, type JsonValue, type Message } from '@bufbuild/protobuf';
export { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
export { comments } from './comments.js';
