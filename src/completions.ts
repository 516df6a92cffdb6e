/**
 * `stm completions SHELL`: scripts made from the command tables, which complete commands, options,
 * the words that an option takes, and files where it takes one.
 *
 * @module
 */
import {
  type CommandSpec,
  COMMON_OPTIONS,
  firstSentence,
  type OptionSpec,
} from "./command_line.ts";

/** The shells that there is a script for. */
export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/** One of {@linkcode SHELLS}. */
export type Shell = (typeof SHELLS)[number];

/** The script for a shell, which keeps working when `commands` grows. */
export function completions(shell: Shell, commands: readonly CommandSpec[]): string {
  const places = placesOf(commands);
  switch (shell) {
    case "bash":
      return bash(places);
    case "zsh":
      return zsh(places);
    case "fish":
      return fish(places);
    case "powershell":
      return powershell(places);
  }
}

/** A place on the command line: the words before it, and what may come. */
interface Place {
  /** `""`, `server`, `profile`, `profile create`. */
  readonly at: string;
  readonly words: readonly { readonly word: string; readonly help: string }[];
  readonly options: readonly OptionSpec[];
}

function placesOf(commands: readonly CommandSpec[]): Place[] {
  const names = new Set([""]);
  for (const { name } of commands) {
    const words = name.split(" ");
    for (let n = 1; n <= words.length; n++) names.add(words.slice(0, n).join(" "));
  }
  return [...names].map((at): Place => {
    const command = commands.find(({ name }) => name === at);
    const below = [...names].filter((name) => name !== "" && parentOf(name) === at);
    const words = below.map((name) => ({
      word: name.slice(at.length).trim(),
      help: firstSentence(commands.find((c) => `${c.name} `.startsWith(`${name} `))?.summary ?? ""),
    }));
    return {
      at,
      words: [...command?.choices?.map((word) => ({ word, help: "" })) ?? [], ...words],
      options: [...command?.options ?? [], ...COMMON_OPTIONS],
    };
  });
}

function parentOf(place: string): string {
  return place.includes(" ") ? place.slice(0, place.lastIndexOf(" ")) : "";
}

/** What an option takes: nothing, a file, a folder, one of some words, or any text. */
function takes({ value }: OptionSpec): "nothing" | "file" | "folder" | "text" | readonly string[] {
  if (value === undefined) return "nothing";
  if (value === "FILE") return "file";
  if (value === "DIR") return "folder";
  return /^[a-z]+(\|[a-z]+)+$/.test(value) ? value.split("|") : "text";
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function bash(places: readonly Place[]): string {
  const values = places.flatMap(({ at, options }) =>
    options.flatMap((option) => {
      const what = takes(option);
      if (what === "nothing") return [];
      const reply = what === "file"
        ? "files=-f"
        : what === "folder"
        ? "files=-d"
        : `words=${quoted(what === "text" ? "" : what.join(" "))}`;
      return [`    ${quoted(`${at} --${option.name}`)}) ${reply} ;;`];
    })
  );
  const all = places.map(({ at, words, options }) =>
    `        ${quoted(at)}) words=${
      quoted([...words.map(({ word }) => word), ...options.map((o) => `--${o.name}`)].join(" "))
    } ;;`
  );
  const known = places.map(({ at }) => at).filter((at) => at !== "");
  return `# Completion of stm for bash: . <(stm completions bash)
_stm() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local at= words= files= IFS=$'\\n'
  # Bash takes the = of --ui=json for a word of its own.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  local -i i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${at:+$at }\${COMP_WORDS[i]}" in
      ${known.map(quoted).join(" | ")}) at="\${at:+$at }\${COMP_WORDS[i]}" ;;
      *) ((i > 1)) || at=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case "$at $previous" in
${values.join("\n")}
    *)
      case $at in
${all.join("\n")}
        *) files=-f ;;
      esac
      ;;
  esac
  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen $files -- "$current"))
  else
    IFS=' '
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -F _stm stm
`;
}

function zsh(places: readonly Place[]): string {
  const spec = (text: string): string => text.replaceAll(/[\\[\]:]/g, "\\$&");
  const argument = ({ at, words, options }: Place): string => {
    const lines = options.map((option) => {
      const what = takes(option);
      const action = what === "file"
        ? "_files"
        : what === "folder"
        ? "_files -/"
        : what === "text" || what === "nothing"
        ? " "
        : `(${what.join(" ")})`;
      const value = what === "nothing" ? "" : `:${spec(option.value ?? "")}:${action}`;
      return quoted(
        `--${option.name}${what === "nothing" ? "" : "="}[${spec(option.help)}]${value}`,
      );
    });
    const rest = at === "client" ? ["'*:invite:_files'"] : [];
    const choice = words.length === 0 ? [] : [`'1: :(${words.map(({ word }) => word).join(" ")})'`];
    return `_arguments ${[...choice, ...lines, ...rest].join(" \\\n          ")}`;
  };
  const top = places.filter(({ at }) => at === "").flatMap(({ words }) => words);
  // Within the case of `server` come those of `server ban`, as deep as the table has them.
  const caseOf = (place: Place, indent: string): string => {
    const within = places.filter(({ at }) => at !== "" && parentOf(at) === place.at);
    const word = place.at.slice(place.at.lastIndexOf(" ") + 1);
    const own = `${indent}  ${argument(place)}`;
    if (within.length === 0) return `${indent}${word})\n${own}\n${indent}  ;;`;
    const words = within.map(({ at }) => at.slice(at.lastIndexOf(" ") + 1));
    return `${indent}${word})
${indent}  if ((CURRENT > 2)) && [[ " ${words.join(" ")} " == *" $words[2] "* ]]; then
${indent}    shift words
${indent}    ((CURRENT--))
${indent}    case $words[1] in
${within.map((p) => caseOf(p, `${indent}      `)).join("\n")}
${indent}    esac
${indent}  else
${own.replace(/^/gm, "  ")}
${indent}  fi
${indent}  ;;`;
  };
  const cases = places.filter(({ at }) => at !== "" && !at.includes(" ")).map((place) =>
    caseOf(place, "        ")
  );
  return `#compdef stm
# Completion of stm for zsh: as _stm in a folder of $fpath, or source <(stm completions zsh)
_stm() {
  local state line curcontext=$curcontext
  _arguments -C '--help[show this help]' '1: :->command' '*:: :->rest'
  case $state in
    command)
      local -a commands=(
${top.map(({ word, help }) => `        ${quoted(`${word}:${spec(help)}`)}`).join("\n")}
      )
      _describe -t commands 'stm command' commands
      ;;
    rest)
      case $words[1] in
${cases.join("\n")}
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _stm ]]; then
  _stm "$@"
else
  compdef _stm stm
fi
`;
}

function fish(places: readonly Place[]): string {
  const escaped = (text: string): string =>
    `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = places.flatMap(({ at, words, options }) => {
    // Below "server" there is "server ban", whose options are others.
    const below = places.filter((place) => at !== "" && parentOf(place.at) === at);
    const here = `complete -c stm -n ${
      escaped(
        ["__stm_at", ...at === "" ? [] : [at]].join(" ") +
          below.map((place) => `; and not __stm_at ${place.at}`).join(""),
      )
    }`;
    return [
      ...words.map(({ word, help }) =>
        `complete -c stm -n ${escaped(`__stm_right_after ${at}`.trim())} -f -a ${word}${
          help === "" ? "" : ` -d ${escaped(help)}`
        }`
      ),
      ...options.map((option) => {
        const what = takes(option);
        const kind = what === "nothing"
          ? "-f"
          : what === "file"
          ? "-r -F"
          : what === "folder"
          ? "-x -a '(__fish_complete_directories)'"
          : what === "text"
          ? "-x"
          : `-x -a ${escaped(what.join(" "))}`;
        const short = option.short === undefined ? "" : ` -s ${option.short}`;
        return `${here} -l ${option.name}${short} ${kind} -d ${escaped(option.help)}`;
      }),
    ];
  });
  return `# Completion of stm for fish: stm completions fish | source
function __stm_at
    set -l words (commandline -opc)
    set -e words[1]
    test (count $argv) -eq 0; and test (count $words) -eq 0; and return 0
    set -l depth (count $argv)
    test $depth -gt 0; and test (count $words) -ge $depth
    and test "$words[1..$depth]" = "$argv"
end
function __stm_right_after
    test (count (commandline -opc)) -eq (math 1 + (count $argv)); and __stm_at $argv
end
complete -c stm -f
${lines.join("\n")}
`;
}

function powershell(places: readonly Place[]): string {
  const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  const entries = places.map(({ at, words, options }) => {
    const rows = [
      ...words.map(({ word, help }) => [word, help === "" ? word : help]),
      ...options.map((option) => [`--${option.name}`, option.help]),
    ].map(([word = "", help = ""]) => `      @(${literal(word)}, ${literal(help)})`);
    return `    ${literal(at)} = @(\n${rows.join("\n")}\n    )`;
  });
  const values = places.flatMap(({ at, options }) =>
    options.flatMap((option) => {
      const what = takes(option);
      return typeof what === "string"
        ? []
        : [`    ${literal(`${at} --${option.name}`)} = @(${what.map(literal).join(", ")})`];
    })
  );
  return `# Completion of stm for PowerShell: stm completions powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName stm -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $places = @{
${entries.join("\n")}
  }
  $values = @{
${values.join("\n")}
  }
  $before = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
  if ($wordToComplete -ne '' -and $before.Count -gt 0) {
    $before = @($before | Select-Object -SkipLast 1)
  }
  $at = ''
  foreach ($count in 1, 2, 3) {
    if ($before.Count -ge $count) {
      $words = ($before | Select-Object -First $count) -join ' '
      if ($places.ContainsKey($words)) { $at = $words }
    }
  }
  $previous = if ($before.Count -gt 0) { "$at $($before[-1])" } else { '' }
  $found = if ($values.ContainsKey($previous)) {
    $values[$previous] | ForEach-Object { , @($_, $_) }
  } else {
    $places[$at]
  }
  $found | Where-Object { $_[0] -like "$wordToComplete*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_[0], $_[0], 'ParameterValue', $_[1])
  }
}
`;
}
