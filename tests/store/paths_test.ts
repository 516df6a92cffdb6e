import assert from "node:assert/strict";
import { profilePath, serverPinsPath, stateFolder } from "../../src/store/paths.ts";

const env = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("stateFolder() follows STM_HOME first, then each system's custom", () => {
  const cases: [string, Record<string, string>, string][] = [
    ["linux", { STM_HOME: "/srv/stm", HOME: "/home/owl" }, "/srv/stm"],
    ["linux", { XDG_CONFIG_HOME: "/home/owl/cfg", HOME: "/home/owl" }, "/home/owl/cfg/stm"],
    ["linux", { HOME: "/home/owl" }, "/home/owl/.config/stm"],
    ["freebsd", { HOME: "/home/owl" }, "/home/owl/.config/stm"],
    ["darwin", { HOME: "/Users/owl" }, "/Users/owl/Library/Application Support/stm"],
    [
      "darwin",
      { XDG_CONFIG_HOME: "/x", HOME: "/Users/owl" },
      "/Users/owl/Library/Application Support/stm",
    ],
    [
      "windows",
      { APPDATA: "C:\\Users\\owl\\AppData\\Roaming" },
      "C:\\Users\\owl\\AppData\\Roaming\\stm",
    ],
    ["windows", { APPDATA: "C:\\A", STM_HOME: "D:\\stm" }, "D:\\stm"],
  ];
  for (const [os, variables, folder] of cases) {
    assert.equal(stateFolder(os, env(variables)), folder);
  }
});

Deno.test("stateFolder() takes an empty variable and a relative XDG path for none", () => {
  const variables = { STM_HOME: "", XDG_CONFIG_HOME: "cfg", HOME: "/home/owl" };
  assert.equal(stateFolder("linux", env(variables)), "/home/owl/.config/stm");
});

Deno.test("stateFolder() says what to set when nothing tells where to go", () => {
  for (const [os, variable] of [["linux", "HOME"], ["darwin", "HOME"], ["windows", "APPDATA"]]) {
    assert.throws(() => stateFolder(os ?? "", env({})), {
      name: "StoreError",
      code: "no-home",
      message: new RegExp(`STM_HOME nor ${variable} is set\\. Set STM_HOME`),
    });
  }
});

Deno.test("profilePath() gives a file in the folder and lets no name out of it", () => {
  assert.equal(profilePath("linux", "/s", "owl-work_2"), "/s/profiles/owl-work_2.stm");
  assert.equal(profilePath("windows", "C:\\s", "owl"), "C:\\s\\profiles\\owl.stm");
  assert.equal(serverPinsPath("linux", "/s"), "/s/known_servers.json");
  const bad = [
    "",
    ".",
    "..",
    "../owl",
    "a/b",
    "a\\b",
    "Owl",
    "a.b",
    "nul",
    "com1",
    "a\0",
    "a".repeat(33),
    "-a",
    "ö",
  ];
  for (const name of bad) {
    assert.throws(() => profilePath("linux", "/s", name), { code: "bad-name" }, name);
  }
});
