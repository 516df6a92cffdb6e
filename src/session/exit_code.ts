/** Exit codes, docs/JSON.md. */
export const EXIT = {
  left: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  wrongKey: 4,
  loginRefused: 5,
  notAdmitted: 6,
  protocolViolated: 7,
} as const;
