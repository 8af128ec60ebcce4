import { logVerbosity, setLogVerbosity, type ChannelOptions } from '@grpc/grpc-js';

// Libraries do not log, and what grpc-js would write to stderr also reaches the caller as an error.
if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);

/** Options that both ends of a connection have. */
export interface TransportOptions {
  /**
   * Bytes that may be under way before the receiver has read them, per stream and per connection. A stream moves at most
   * `windowBytes` per round trip: HTTP/2's default of 64 KiB would cap it at 3 MB/s over 20 ms.
   */
  readonly windowBytes?: number | undefined;
  /** Larger messages are refused, in both directions. Bulk data is cut into chunks far below it. */
  readonly maxMessageBytes?: number | undefined;
  /** A connection that is silent for this long is probed, and given up when the probe is not answered within as long again. */
  readonly keepaliveMs?: number | undefined;
  /** Further options of grpc-js; they win over the ones above. */
  readonly channelOptions?: ChannelOptions | undefined;
}

export const WINDOW_BYTES = 16 * 1024 * 1024;
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
export const KEEPALIVE_MS = 20_000;

export function channelOptions(options: TransportOptions): ChannelOptions {
  const maxMessageBytes = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
  const keepaliveMs = options.keepaliveMs ?? KEEPALIVE_MS;
  return {
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveMs,
    'grpc.keepalive_permit_without_calls': 1,
    // Counts every message of every connection for a debugging service that is not served.
    'grpc.enable_channelz': 0,
  };
}
