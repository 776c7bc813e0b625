"""What a shell sources: it asks `vibe` for the completions of the line up to the cursor, one answer a line.

`vibe` is the one on PATH, else the one that wrote the script; never what was typed, which in a cloned repository may be
a stranger's `./vibe`. What follows a `~` or a `$` is left to the shell, since only it knows what they stand for.
"""

from __future__ import annotations

#: The first words of each script, by which `--install` knows its own files.
MARK = "Completions of vibe; written by `vibe completion`."

#: Names of the variables by which a script asks.
LINE, WORD = "_VIBE_LINE", "_VIBE_WORD"

BASH = f"""\
# {MARK}
%(complete_func)s() {{
    local program=vibe answer
    type -P vibe > /dev/null || program=%(program)s
    COMPREPLY=()
    case $2 in
        [~$]*) compopt -o default 2> /dev/null; return ;;
    esac
    while IFS= read -r answer; do
        COMPREPLY+=("$answer")
        case $answer in
            *[/=:@]) compopt -o nospace 2> /dev/null ;;
        esac
    done < <({{ env {LINE}="${{COMP_LINE:0:$COMP_POINT}}" {WORD}="$2" %(complete_var)s=bash_complete \\
        "$program" < /dev/null; }} 2> /dev/null)
}}
complete -o nosort -F %(complete_func)s %(prog_name)s 2> /dev/null || complete -F %(complete_func)s %(prog_name)s
"""

ZSH = f"""\
#compdef %(prog_name)s
# {MARK}
%(complete_func)s() {{
    local program=vibe answer
    local -a answers open closed
    (( $+commands[vibe] )) || program=%(program)s
    if [[ $words[CURRENT] == [\\~$]* ]]; then
        _files
        return
    fi
    answers=("${{(@f)$({{ env {LINE}="${{(j: :)words[1,CURRENT]}}" %(complete_var)s=zsh_complete \\
        "$program" < /dev/null; }} 2> /dev/null)}}")
    for answer in $answers; do
        if [[ ${{answer%%%%$'\\t'*}} == *[/=:@] ]]; then
            open+=("${{answer/$'\\t'/:}}")
        else
            closed+=("${{answer/$'\\t'/:}}")
        fi
    done
    (( $#closed )) && _describe -V vibe closed
    (( $#open )) && _describe -V vibe open -S ''
    (( $#answers ))
}}
# Otherwise answers of the same description stand together, and the latest run is not the first.
zstyle ':completion:*:*:vibe:*' list-grouped false
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

FISH = f"""\
# {MARK}
function %(complete_func)s
    set -l program vibe
    command -sq vibe; or set program %(program)s
    set -l word (commandline -ct)
    if string match -qr '^[~$]' -- "$word"
        __fish_complete_path "$word"
        return
    end
    set -l line (commandline -cp | string collect)
    env {LINE}="$line" %(complete_var)s=fish_complete $program </dev/null 2>/dev/null
end
complete --command %(prog_name)s --no-files --keep-order --arguments '(%(complete_func)s)'
"""
