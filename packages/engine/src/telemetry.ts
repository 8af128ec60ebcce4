/**
 * onnxruntime reports usage to its makers on Linux unless its environment forbids it, and keeps a database and log files for
 * that in the temporary folder. What runs here is nobody else's business: importing this file first switches it off for this
 * process, its threads and its children. Threads cannot do it for themselves: their `process.env` is a copy that the library
 * does not see.
 */
process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
