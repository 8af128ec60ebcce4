/** Version of the contract in proto/dd2/v1: raised when a worker and a coordinator of different versions would misunderstand each other. */
export const PROTOCOL_VERSION = 2;
