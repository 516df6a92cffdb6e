export function runDemo(_ui: string, _version: string): Promise<number> {
  throw new Error("later");
}
