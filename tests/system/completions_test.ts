import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli.ts";
import { completions, type Shell } from "../../src/completions.ts";
import { start } from "../support/package_stage.ts";
import { Pty } from "../support/pty.ts";
import { withFolder } from "../support/temporary_folder.ts";

/** What is typed before the tab key, and what then stands on the line. */
const TYPED: readonly (readonly [string, string])[] = [
  ["stm ser", "stm server "],
  ["stm profile cr", "stm profile create "],
  ["stm server --cer", "stm server --certs"],
  ["stm server ban ad", "stm server ban add "],
  ["stm server ban add --no", "stm server ban add --note"],
  ["stm server --certs some-fo", "stm server --certs some-folder/"],
  ["stm client --invite-file some-fi", "stm client --invite-file some-file.txt "],
  ["stm admin --ui js", "stm admin --ui json "],
  ["stm completions po", "stm completions powershell "],
];

async function prepare(folder: string, shell: Shell): Promise<string> {
  const script = join(folder, `completion-${shell}`);
  await Deno.writeTextFile(script, completions(shell, COMMANDS));
  await Deno.mkdir(join(folder, "work", "some-folder"), { recursive: true });
  await Deno.writeTextFile(join(folder, "work", "some-file.txt"), "");
  return script;
}

async function typeInto(pty: Pty, prompt: string): Promise<void> {
  await pty.shows((rows) => rows.findLast((row) => row !== "") === prompt.trimEnd());
  for (const [typed, completed] of TYPED) {
    pty.write(`${typed}\t`);
    // zsh leaves the = of an option out on the screen only where it may.
    await pty.shows((rows) => rows.some((row) => `${row} `.startsWith(`${prompt}${completed}`)));
    // The line is thrown away; a new prompt comes.
    pty.write("\x15");
    await pty.shows((rows) => rows.findLast((row) => row !== "") === prompt.trimEnd());
  }
}

Deno.test("bash completes commands, options, their words, files and folders", async () => {
  await withFolder(async (folder) => {
    const script = await prepare(folder, "bash");
    const pty = new Pty("bash", ["--noprofile", "--norc", "-i"], {
      env: { HOME: folder, PS1: "> ", BASH_SILENCE_DEPRECATION_WARNING: "1" },
    });
    try {
      pty.write(`. ${script}; cd ${folder}/work; bind 'set bell-style none'; clear\r`);
      await typeInto(pty, "> ");
    } finally {
      await pty.close();
    }
  });
});

Deno.test("zsh completes commands, options, their words, files and folders", async () => {
  await withFolder(async (folder) => {
    const script = await prepare(folder, "zsh");
    const pty = new Pty("zsh", ["-f", "-i"], { env: { HOME: folder, PS1: "> ", PROMPT: "> " } });
    try {
      pty.write(
        `unsetopt beep prompt_sp; autoload -Uz compinit; compinit -D -u; ` +
          `. ${script}; cd ${folder}/work; PROMPT='> '; clear\r`,
      );
      await typeInto(pty, "> ");
    } finally {
      await pty.close();
    }
  });
});

Deno.test("fish completes commands, options, their words, files and folders", async () => {
  await withFolder(async (folder) => {
    const script = await prepare(folder, "fish");
    const ask = async (line: string): Promise<string[]> => {
      const command = `source ${script}; cd ${folder}/work; complete -C "${line}"`;
      const { out, err } = await start("fish", ["--no-config", "-c", command], {
        env: { HOME: folder },
      });
      assert.equal(err, "");
      return out.split("\n").map((row) => row.split("\t")[0] ?? "").filter((word) => word !== "");
    };
    for (const [typed, completed] of TYPED) {
      const words = await ask(typed);
      assert.deepEqual(words, [completed.trimEnd().split(" ").at(-1)], typed);
    }
    assert.deepEqual(
      (await ask("stm ")).sort(),
      [
        ...new Set(COMMANDS.map(({ name }) => name.split(" ")[0] ?? "")),
      ].sort(),
    );
    assert.deepEqual(await ask("stm server --ui "), ["json", "line"]);
  });
});
