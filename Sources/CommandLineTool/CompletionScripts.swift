extension Usage.Command {
    /// `completion <shell>`, for the programs that list it. `Program` runs it.
    public static let completion = Usage.Command(
        "completion", ["bash|zsh|fish"], help: "print a script that teaches the shell to complete this program's command line",
        details: """
            For the shell that runs, in bash:  source <(PROGRAM completion bash)
                                    in zsh:    source <(PROGRAM completion zsh)     after compinit
                                    in fish:   PROGRAM completion fish | source
            For every shell, in the places where each looks:
              bash  PROGRAM completion bash > ~/.local/share/bash-completion/completions/PROGRAM
              zsh   PROGRAM completion zsh > "${fpath[1]}/_PROGRAM"
              fish  PROGRAM completion fish > ~/.config/fish/completions/PROGRAM.fish
            """)
}

extension Usage {
    private static let completing = "__complete"
    private static let documenting = "__reference"

    /// What scripts and the documentation ask a program for; nil when this is no such question.
    func answer(toTool words: [String]) async -> String? {
        switch words.first {
        case Self.completing: await completion(of: Array(words.dropFirst())).text
        case Self.documenting: reference
        default: nil
        }
    }

    /// A script that asks the program itself at each Tab.
    func completionScript(for shell: String) throws(Arguments.Mistake) -> String {
        let script: String
        switch shell {
        case "bash": script = Self.bash
        case "zsh": script = Self.zsh
        case "fish": script = Self.fish
        default: throw Arguments.Mistake("there are scripts for bash, zsh and fish, not for \(shell)")
        }
        return named(script.replacing("FUNCTION", with: identifier))
    }

    private var identifier: String { "_" + String(program.map { $0.isLetter || $0.isNumber ? $0 : "_" }) }

    /// Texts that speak of the program say `PROGRAM`.
    func named(_ text: String) -> String { text.replacing("PROGRAM", with: program) }

    /// Bash breaks words at `=` and `:` too, and wants only what follows the last break.
    private static let bash = #"""
        # Completes the command line of PROGRAM.
        FUNCTION() {
            local IFS=$' \t\n' words=() line before=${COMP_LINE:0:COMP_POINT} piece=${COMP_WORDS[COMP_CWORD]}
            read -r -a words <<< "$before"
            [[ $before == *[[:space:]] ]] && words+=("")
            local current=${words[${#words[@]}-1]} program=${words[0]/#\~/$HOME}
            [[ $piece == [=:] ]] && piece=
            local broken=${current%"$piece"}
            COMPREPLY=()
            while IFS= read -r line; do
                if [[ $line == :files ]]; then
                    compopt -o filenames 2>/dev/null
                    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$piece")
                elif [[ -n $line ]]; then
                    line=${line%%$'\t'*}
                    COMPREPLY+=("${line#"$broken"}")
                fi
            done < <("$program" __complete "${words[@]:1}" 2>/dev/null)
        }
        complete -F FUNCTION PROGRAM
        """#

    private static let zsh = #"""
        #compdef PROGRAM
        # Completes the command line of PROGRAM.
        FUNCTION() {
            local line
            local -a found
            for line in "${(@f)$("${(Q)words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
                if [[ $line == :files ]]; then
                    compset -P '--*='
                    _files
                    return
                fi
                [[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
            done
            _describe -V 'PROGRAM' found
        }
        if [[ $funcstack[1] == FUNCTION ]]; then FUNCTION "$@"; else compdef FUNCTION PROGRAM; fi
        """#

    private static let fish = #"""
        # Completes the command line of PROGRAM.
        function FUNCTION
            set -l words (commandline -opc)
            set -l current (commandline -ct)
            set -l program $words[1]
            set -e words[1]
            for line in ($program __complete $words "$current" 2>/dev/null)
                if test "$line" = ":files"
                    __fish_complete_path "$current"
                else
                    echo $line
                end
            end
        end
        complete -c PROGRAM -f -a '(FUNCTION)'
        """#
}
