/** What a shell asks `dd2` with; see `formatCompletion` for the answer. */
export const COMPLETE = '__complete';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/**
 * Bash splits words at `=` and `:` too: they are put together again from the line, and what stands before the last of these in the
 * word is taken off the answers. It needs neither bash-completion nor a bash newer than 3.2.
 */
const bash = `# bash completion for dd2; load it with: source <(dd2 completion bash)
_dd2() {
  local rest="\${COMP_LINE:0:COMP_POINT}" words=() count=0 i word
  for ((i = 0; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [[ "$rest" == [[:space:]]* || $count -eq 0 ]]; then
      rest="\${rest#"\${rest%%[![:space:]]*}"}"
      words[count]="$word"
      count=$((count + 1))
    else
      words[count - 1]+="$word"
    fi
    rest="\${rest#"$word"}"
  done
  if [[ "$rest" == [[:space:]]* || $count -eq 0 ]]; then
    words[count]="\${rest#"\${rest%%[![:space:]]*}"}"
    count=$((count + 1))
  else
    words[count - 1]+="$rest"
  fi
  local current="\${words[count - 1]}" line paths="" replies=()
  while IFS= read -r line; do
    case "$line" in
      :*) paths="\${line#:}" ;;
      *) replies[\${#replies[@]}]="\${line%%$'\\t'*}" ;;
    esac
  done < <(dd2 ${COMPLETE} "\${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  local tail="\${current##*[=:]}"
  local head="\${current%"$tail"}"
  if [[ "$paths" == files || "$paths" == folders ]]; then
    local kind=-f
    [[ "$paths" == folders ]] && kind=-d
    [[ "$current" == -*=* ]] || tail="$current"
    while IFS= read -r line; do COMPREPLY[\${#COMPREPLY[@]}]="$line"; done < <(compgen "$kind" -- "$tail")
    compopt -o filenames 2>/dev/null
  else
    [[ "$COMP_WORDBREAKS" == *=* && "$COMP_WORDBREAKS" == *:* ]] || head=""
    for line in "\${replies[@]}"; do COMPREPLY[\${#COMPREPLY[@]}]="\${line#"$head"}"; done
  fi
}
complete -F _dd2 dd2
`;

const zsh = `#compdef dd2
# zsh completion for dd2; load it with: source <(dd2 completion zsh), after compinit
_dd2() {
  local -a lines described
  local line paths
  lines=("\${(@f)$(dd2 ${COMPLETE} "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  paths="\${lines[-1]}"
  for line in "\${(@)lines[1,-2]}"; do
    if [[ "$line" == *$'\\t'* ]]; then
      described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    else
      described+=("\${line//:/\\\\:}")
    fi
  done
  case "$paths" in
    :files) [[ "$PREFIX" == -*=* ]] && compset -P '*='; _files ;;
    :folders) [[ "$PREFIX" == -*=* ]] && compset -P '*='; _files -/ ;;
    *) _describe dd2 described ;;
  esac
}
if [[ "\${funcstack[1]}" == _dd2 ]]; then _dd2 "$@"; else compdef _dd2 dd2; fi
`;

const fish = `# fish completion for dd2; load it with: dd2 completion fish | source
function __dd2_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (dd2 ${COMPLETE} $words[2..-1] "$current" 2>/dev/null)
    switch "$lines[-1]"
        case ':files'
            __fish_complete_path (string replace -r -- '^-[^=]*=' '' "$current")
        case ':folders'
            __fish_complete_directories (string replace -r -- '^-[^=]*=' '' "$current")
        case '*'
            test (count $lines) -gt 1; and printf '%s\\n' $lines[1..-2]
    end
end
complete -c dd2 -f -a '(__dd2_complete)'
`;

export const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };
