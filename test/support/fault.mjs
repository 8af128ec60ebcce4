// Imported by a process that a test starts: with SIGUSR2, a fault.
process.on('SIGUSR2', () => {
  throw new TypeError('nobody foresaw this');
});
